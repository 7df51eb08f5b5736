-- Record the outcome of one attempt: delivered, retried or dead. If several notifiers handled the same delivery, the
-- first one that delivers it or gives it up decides.
-- ARGV: prefix, id, outcome, due, delivery, dead_kept
-- Returns: 1, or 0 if the delivery is not waiting any more
local prefix, id, outcome = unpack(ARGV, 1, 3)
local due, waiting = prefix .. 'notify:due', prefix .. 'notify:waiting'
if redis.call('HEXISTS', waiting, id) == 0 then return 0 end
if outcome == 'retried' then
    redis.call('HSET', waiting, id, ARGV[5])
    redis.call('ZADD', due, ARGV[4], id)
else
    redis.call('HDEL', waiting, id)
    redis.call('ZREM', due, id)
    if outcome == 'dead' then
        redis.call('XADD', prefix .. 'notify:dead', 'MAXLEN', '~', ARGV[6], '*', 'delivery', ARGV[5])
    end
end
redis.call('HINCRBY', prefix .. 'notify:counts', outcome, 1)
return 1
