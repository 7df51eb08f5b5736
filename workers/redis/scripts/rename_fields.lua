-- Rename fields of a hash of counters. A field that is there under both names is added up.
-- ARGV: key, old, new, old, new, …
-- Returns: how many were renamed
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
