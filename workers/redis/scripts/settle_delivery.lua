-- What became of one attempt: delivered, retried or dead. Another notifier may have settled the same delivery: the first
-- that delivered it or gave it up has the last word.
-- ARGV: prefix, id, outcome, due, delivery, dead_kept
-- Returns: 1, or 0 where nobody waits for this delivery any more
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
