-- Record the outcome of one attempt: delivered, retried or dead. If several notifiers handled the same delivery, the
-- first one that delivers it or gives it up decides.
-- KEYS: waiting, due, dead, counts
-- ARGV: id, outcome, due, delivery, dead_kept, now, the answer, time until which nothing is to be sent (0 none)
-- Returns: 1, or 0 if the delivery is not waiting any more
local waiting, due, dead, counts = unpack(KEYS)
local id, outcome, now = ARGV[1], ARGV[2], ARGV[6]
if redis.call('HEXISTS', waiting, id) == 0 then return 0 end
local bytes = -redis.call('HSTRLEN', waiting, id)
if outcome == 'retried' then
    redis.call('HSET', waiting, id, ARGV[4])
    redis.call('ZADD', due, ARGV[3], id)
    bytes = bytes + #ARGV[4]
else
    redis.call('HDEL', waiting, id)
    redis.call('ZREM', due, id)
    if outcome == 'dead' then
        redis.call('XADD', dead, 'MAXLEN', '~', ARGV[5], '*', 'delivery', ARGV[4])
    end
end
redis.call('HINCRBY', counts, outcome, 1)
-- deliveries of older versions were not counted
if redis.call('HINCRBY', counts, 'bytes', bytes) < 0 or redis.call('EXISTS', waiting) == 0 then
    redis.call('HSET', counts, 'bytes', 0)
end
redis.call('HSET', counts, 'last_at', now, 'last_answer', ARGV[7])
if outcome == 'delivered' then
    redis.call('HDEL', counts, 'failing_since')
else
    redis.call('HSETNX', counts, 'failing_since', now)
end
if ARGV[8] ~= '0' then redis.call('HSET', counts, 'held_until', ARGV[8]) end
return 1
