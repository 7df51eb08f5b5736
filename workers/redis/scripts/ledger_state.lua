-- How many objects are in the ledger and in its queues, and since when the oldest of each has been.
-- Objects that have left by a wildtag of an older version, or by hand, are taken out: at most some hundred a call.
-- KEYS: accepted objects, ledger. ARGV: what the keys of queues and those of entries begin with, the queues
-- Returns: {objects in the ledger, when the oldest was accepted or '', then for each queue: {objects, since when or ''}}
local accepted, ledger = unpack(KEYS)
local queues, entries, first_queue = ARGV[1], ARGV[2], ARGV[3]

local function oldest(key, queue)
    for _ = 1, 200 do
        local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
        if not first[1] then return '' end
        local its = redis.call('HMGET', entries .. first[1], 'queue', 'etag')
        if its[2] and (not queue or (its[1] or first_queue) == queue) then return first[2] end
        redis.call('ZREM', key, first[1])
    end
    return ''
end

local found = {redis.call('ZCARD', ledger), oldest(accepted, nil)}
for n = 3, #ARGV do
    local key = queues .. ARGV[n]
    local since = oldest(key, ARGV[n])
    found[n] = {redis.call('ZCARD', key), since}
end
return found
