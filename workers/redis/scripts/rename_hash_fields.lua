-- Rename fields of hashes. A field that is there under both names keeps the value of its new name.
-- ARGV: number of fields, old, new, old, new, …, then the keys
-- Returns: how many hashes were changed
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
