-- Take up to LIMIT due deliveries. They become due again later, in case the process that took them is killed.
-- ARGV: prefix, now, again, limit
-- Returns: a list of deliveries
local prefix = ARGV[1]
local due, waiting = prefix .. 'notify:due', prefix .. 'notify:waiting'
local taken = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', ARGV[2], 'LIMIT', 0, ARGV[4])) do
    local delivery = redis.call('HGET', waiting, id)
    if delivery then
        redis.call('ZADD', due, ARGV[3], id)
        taken[#taken + 1] = delivery
    else
        redis.call('ZREM', due, id)
    end
end
return taken
