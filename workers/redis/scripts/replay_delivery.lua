-- Move a delivery from the dead letters to the due ones.
-- KEYS: waiting, due, dead. ARGV: letter, id, delivery, now
-- Returns: 1, or 0 if the dead letter does not exist any more
if redis.call('XDEL', KEYS[3], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[2])
return 1
