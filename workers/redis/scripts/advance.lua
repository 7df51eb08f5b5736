-- Record that objects start a stage, and extend their deadlines. Versions and revisions that the ledger does not wait
-- for are ignored, and so are results that were begun before an object was entered by force.
-- KEYS: those of counting.lua, ledger, segmenting, then the entry of each object
-- ARGV: revision, stage, deadline, begin (1: count an attempt), now, queued (1: they are put on the queue of the stage
--       and have not started), the names of the stages (msgpack), then of each object: oid, etag
-- Returns of each object: {accepted_at, segmentation method or '', then for each stage when it was entered, or '',
--       then how it ended a process, or '', then why its segmentation is given up, or '', then since when it has been on
--       the queue of the stage, or ''}, or false if the result is no longer wanted
local ledger, segmenting = KEYS[4], KEYS[5]
local revision, stage, deadline, now = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
local begin, queued = ARGV[4] == '1', ARGV[6] == '1'
local times = {'stage', stage, 'at:' .. stage, now, 'begun_on', stage}
if queued then times = {'stage', stage, 'at:' .. stage, now, 'begun_on', '', 'queued_at', now, 'resent_at', now} end

local entered, place, retrieval = {}, nil, nil
for n, name in ipairs(cmsgpack.unpack(ARGV[7])) do
    entered[n] = 'at:' .. name
    if name == stage then place = n end
    if name == 'retrieval' then retrieval = n end
end
local count = #entered
local later = place and retrieval and place > retrieval  -- than the stage in which captions and exemplars are looked up
entered[count + 1], entered[count + 2], entered[count + 3] = 'forced', 'crash', 'unsegmented'

local answers = {}
for n = 1, #KEYS - 5 do
    local entry_key, oid, etag = KEYS[5 + n], ARGV[6 + 2 * n], ARGV[7 + 2 * n]
    local entry = redis.call('HMGET', entry_key, 'etag', 'revision', 'accepted_at', 'segment', 'fault', 'queue', 'since',
        'stage', unpack(entered))
    local unseen = later and entry[9 + count] == '1' and not entry[8 + retrieval]
    if entry[1] ~= etag or entry[2] ~= revision or unseen then
        answers[n] = false
    else
        redis.call('HSET', entry_key, unpack(times))
        if entry[5] then redis.call('HDEL', entry_key, 'fault') end
        if entry[4] and entry[4] ~= '' then redis.call('SADD', segmenting, oid) end
        -- a call that is repeated since its answer was lost has the same time
        local repeated = place and entry[8] == stage and entry[8 + place] == now
        -- what was put off goes on: its attempt was taken back
        if begin or not queued and entry[8] == PUT_OFF then redis.call('HINCRBY', entry_key, 'attempts', 1) end
        if not queued and not repeated then tally('attempts:' .. stage) end
        move(entry_key, oid, entry[6] or FIRST, entry[7] or entry[3], stage, now)
        redis.call('ZADD', ledger, deadline, oid)
        answers[n] = {entry[3], entry[4] or ''}
        if place then entry[8 + place] = now end
        for i = 1, count do answers[n][2 + i] = entry[8 + i] or '' end
        answers[n][3 + count], answers[n][4 + count] = entry[10 + count] or '', entry[11 + count] or ''
        -- not when it was sent again: this may be the message before
        answers[n][5 + count] = (entry[6] or FIRST) == stage and (entry[7] or entry[3]) or ''
    end
end
settle()
return answers
