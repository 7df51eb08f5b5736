-- Take up to LIMIT overdue objects and extend their deadlines, so that two keepers never take the same one.
-- KEYS: those of counting.lua, ledger, segmenting
-- ARGV: what the keys of entries begin with, now, deadline, limit, untroubled (1: leave objects that wait after a fault
--       or are being segmented), the latest deadline that there may be: later ones are from before the clock was set back
-- Returns: a list of [oid, ref, revision, stage, attempts, accepted_at, fault, since when, how it ended processes,
--       1 if it has come as far as segmentation, which is not given up yet, the queue that it is in, when its message was
--       put there or '' if a worker has begun with it]
local ledger, segmenting = KEYS[4], KEYS[5]
-- when the message of an object was put on the queue in which it has been `since`
local function put_at(since, resent_at)
    return resent_at and tonumber(resent_at) > tonumber(since) and resent_at or since
end

local taken = {}
for _, oid in ipairs(redis.call('ZRANGEBYSCORE', ledger, '(' .. ARGV[6], '+inf', 'LIMIT', 0, 1000)) do
    redis.call('ZADD', ledger, ARGV[6], oid)
end
for _, oid in ipairs(redis.call('ZRANGEBYSCORE', ledger, '-inf', ARGV[2], 'LIMIT', 0, ARGV[4])) do
    local entry = redis.call('HMGET', ARGV[1] .. oid, 'ref', 'revision', 'stage', 'attempts', 'accepted_at', 'fault',
        'fault_since', 'crash', 'segment', 'at:segmentation', 'unsegmented', 'queue', 'since', 'resent_at', 'begun_on')
    local segmented = (entry[9] or '') ~= '' and entry[10] and not entry[11]
    if entry[1] and ARGV[5] == '1' and (entry[6] or entry[3] == 'segmentation') then
        -- it keeps its deadline
    elseif entry[1] then
        redis.call('ZADD', ledger, ARGV[3], oid)
        local queue, begun_on = entry[12] or FIRST, entry[15]
        -- an entry of an older version does not say which worker has begun
        local waits = queue ~= PUT_OFF and begun_on ~= queue and (begun_on or entry[3] == 'queued')
        taken[#taken + 1] = {oid, entry[1], entry[2], entry[3], entry[4], entry[5], entry[6] or '',
            entry[7] or '', entry[8] or '', segmented and 1 or 0, queue,
            waits and put_at(entry[13] or entry[5], entry[14]) or ''}
    else
        redis.call('ZREM', ledger, oid)
        redis.call('SREM', segmenting, oid)
        redis.call('ZREM', ACCEPTED, oid)
    end
end
return taken
