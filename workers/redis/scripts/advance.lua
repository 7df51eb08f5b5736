-- Record that objects start a stage, and extend their deadlines. Versions and revisions that the ledger does not wait
-- for are ignored.
-- KEYS: ledger, segmenting, then the entry of each object
-- ARGV: revision, stage, deadline, begin (1: count an attempt), now, queued (1: they are put on the queue of the stage
--       and have not started), the names of the stages (msgpack), then of each object: oid, etag
-- Returns of each object: {accepted_at, segmentation method or '', then for each stage when it was entered, or ''}, or
--       false if the result is no longer wanted
local ledger, segmenting = KEYS[1], KEYS[2]
local revision, stage, deadline, now = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
local begin, queued = ARGV[4] == '1', ARGV[6] == '1'
local times = {'stage', stage, 'at:' .. stage, now, queued and 'queued_at' or nil, queued and now or nil}

local entered = {}
for n, name in ipairs(cmsgpack.unpack(ARGV[7])) do entered[n] = 'at:' .. name end

local answers = {}
for n = 1, #KEYS - 2 do
    local entry_key, oid, etag = KEYS[2 + n], ARGV[6 + 2 * n], ARGV[7 + 2 * n]
    local entry = redis.call('HMGET', entry_key, 'etag', 'revision', 'accepted_at', 'segment', 'fault')
    if entry[1] ~= etag or entry[2] ~= revision then
        answers[n] = false
    else
        redis.call('HSET', entry_key, unpack(times))
        if entry[5] then redis.call('HDEL', entry_key, 'fault') end
        if entry[4] and entry[4] ~= '' then redis.call('SADD', segmenting, oid) end
        if begin then redis.call('HINCRBY', entry_key, 'attempts', 1) end
        redis.call('ZADD', ledger, deadline, oid)
        answers[n] = {entry[3], entry[4] or ''}
        for i, at in ipairs(redis.call('HMGET', entry_key, unpack(entered))) do answers[n][2 + i] = at or '' end
    end
end
return answers
