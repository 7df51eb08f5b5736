-- Rename fields of a hash of counters. If both names exist, their values are added.
-- ARGV: key, old, new, old, new, …
-- Returns: the number of renamed fields
local renamed = 0
for i = 2, #ARGV, 2 do
    local count = redis.call('HGET', ARGV[1], ARGV[i])
    if count then
        redis.call('HINCRBY', ARGV[1], ARGV[i + 1], count)
        redis.call('HDEL', ARGV[1], ARGV[i])
        renamed = renamed + 1
    end
end
return renamed
