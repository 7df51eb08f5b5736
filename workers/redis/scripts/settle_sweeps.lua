-- Subtracts the requests that a sweep has met, and removes those of which none is left.
-- KEYS[1]: the requests. ARGV: prefix, number, prefix, number, …
for at = 1, #ARGV, 2 do
    if redis.call('HINCRBY', KEYS[1], ARGV[at], -tonumber(ARGV[at + 1])) <= 0 then
        redis.call('HDEL', KEYS[1], ARGV[at])
    end
end
return redis.call('HLEN', KEYS[1])
