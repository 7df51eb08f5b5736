-- Take up to LIMIT overdue objects and extend their deadlines, so that two keepers never take the same one.
-- KEYS: ledger, segmenting, accepted objects
-- ARGV: what the keys of entries begin with, now, deadline, limit, untroubled (1: leave objects that wait after a fault
--       or are being segmented), the latest deadline that there may be: later ones are from before the clock was set back
-- Returns: a list of [oid, ref, revision, stage, attempts, accepted_at, fault, since when, how it ended processes,
--       1 if it has come as far as segmentation, which is not given up yet]
local ledger, segmenting, accepted = unpack(KEYS)
local taken = {}
for _, oid in ipairs(redis.call('ZRANGEBYSCORE', ledger, '(' .. ARGV[6], '+inf', 'LIMIT', 0, 1000)) do
    redis.call('ZADD', ledger, ARGV[6], oid)
end
for _, oid in ipairs(redis.call('ZRANGEBYSCORE', ledger, '-inf', ARGV[2], 'LIMIT', 0, ARGV[4])) do
    local entry = redis.call('HMGET', ARGV[1] .. oid, 'ref', 'revision', 'stage', 'attempts', 'accepted_at', 'fault',
        'fault_since', 'crash', 'segment', 'at:segmentation', 'unsegmented')
    local segmented = (entry[9] or '') ~= '' and entry[10] and not entry[11]
    if entry[1] and ARGV[5] == '1' and (entry[6] or entry[3] == 'segmentation') then
        -- it keeps its deadline
    elseif entry[1] then
        redis.call('ZADD', ledger, ARGV[3], oid)
        taken[#taken + 1] = {oid, entry[1], entry[2], entry[3], entry[4], entry[5], entry[6] or '',
            entry[7] or '', entry[8] or '', segmented and 1 or 0}
    else
        redis.call('ZREM', ledger, oid)
        redis.call('SREM', segmenting, oid)
        redis.call('ZREM', accepted, oid)
    end
end
return taken
