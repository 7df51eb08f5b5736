-- Take a delivery out of the dead letters and make it due.
-- ARGV: prefix, letter, id, delivery, now
-- Returns: 1, or 0 where the letter is not there any more
local prefix = ARGV[1]
if redis.call('XDEL', prefix .. 'notify:dead', ARGV[2]) == 0 then return 0 end
redis.call('HSET', prefix .. 'notify:waiting', ARGV[3], ARGV[4])
redis.call('ZADD', prefix .. 'notify:due', ARGV[5], ARGV[3])
return 1
