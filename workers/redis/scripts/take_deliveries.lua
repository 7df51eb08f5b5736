-- Take up to LIMIT due deliveries. They become due again later, in case the process that took them is killed.
-- KEYS: waiting, due. ARGV: now, again, limit
-- Returns: a list of deliveries
local waiting, due = unpack(KEYS)
local taken = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])) do
    local delivery = redis.call('HGET', waiting, id)
    if delivery then
        redis.call('ZADD', due, ARGV[2], id)
        taken[#taken + 1] = delivery
    else
        redis.call('ZREM', due, id)
    end
end
return taken
