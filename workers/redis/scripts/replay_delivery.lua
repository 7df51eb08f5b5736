-- Move a delivery from the dead letters to the due ones.
-- ARGV: prefix, letter, id, delivery, now
-- Returns: 1, or 0 if the dead letter does not exist any more
local prefix = ARGV[1]
if redis.call('XDEL', prefix .. 'notify:dead', ARGV[2]) == 0 then return 0 end
redis.call('HSET', prefix .. 'notify:waiting', ARGV[3], ARGV[4])
redis.call('ZADD', prefix .. 'notify:due', ARGV[5], ARGV[3])
return 1
