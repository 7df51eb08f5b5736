-- Record the outcome of one attempt: delivered, retried or dead. If several notifiers handled the same delivery, the
-- first one that delivers it or gives it up decides.
-- KEYS: waiting, due, dead, counts. ARGV: id, outcome, due, delivery, dead_kept
-- Returns: 1, or 0 if the delivery is not waiting any more
local waiting, due, dead, counts = unpack(KEYS)
local id, outcome = ARGV[1], ARGV[2]
if redis.call('HEXISTS', waiting, id) == 0 then return 0 end
if outcome == 'retried' then
    redis.call('HSET', waiting, id, ARGV[4])
    redis.call('ZADD', due, ARGV[3], id)
else
    redis.call('HDEL', waiting, id)
    redis.call('ZREM', due, id)
    if outcome == 'dead' then
        redis.call('XADD', dead, 'MAXLEN', '~', ARGV[5], '*', 'delivery', ARGV[4])
    end
end
redis.call('HINCRBY', counts, outcome, 1)
return 1
