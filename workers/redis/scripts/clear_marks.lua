-- Forget the marks of objects, unless they have others by now.
-- KEYS: the marks. ARGV: of each object its id and its mark
for i = 1, #ARGV, 2 do
    if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
