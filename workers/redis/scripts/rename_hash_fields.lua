-- Rename fields of hashes. If both names exist, the value of the new name is kept.
-- ARGV: number of fields, old, new, old, new, …, then the keys
-- Returns: the number of changed hashes
local changed, last = 0, 1 + 2 * tonumber(ARGV[1])
for k = last + 1, #ARGV do
    local found = false
    for i = 2, last, 2 do
        local value = redis.call('HGET', ARGV[k], ARGV[i])
        if value then
            redis.call('HSETNX', ARGV[k], ARGV[i + 1], value)
            redis.call('HDEL', ARGV[k], ARGV[i])
            found = true
        end
    end
    if found then changed = changed + 1 end
end
return changed
