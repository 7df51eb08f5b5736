-- Replace a string, which keeps its lifetime, unless another process has changed it since it was read.
-- KEYS: the string
-- ARGV: its value when it was read, the new one
-- Returns: 1 if it was replaced
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
