-- Move a delivery from the dead letters to the due ones.
-- KEYS: waiting, due, dead, counts. ARGV: letter, id, delivery, now
-- Returns: 1, or 0 if the dead letter does not exist any more
local waiting, due, dead, counts = unpack(KEYS)
if redis.call('XDEL', dead, ARGV[1]) == 0 then return 0 end
redis.call('HINCRBY', counts, 'bytes', #ARGV[3] - redis.call('HSTRLEN', waiting, ARGV[2]))
redis.call('HSET', waiting, ARGV[2], ARGV[3])
redis.call('ZADD', due, ARGV[4], ARGV[2])
return 1
