-- Write the final records of some objects and remove their ledger entries, atomically.
-- Refused unless the ledger waits for exactly this version and revision, so a record is written once and a late result
-- never overwrites a newer one. A record with tags must also have the segmentation that the ledger entry wants.
-- What was forced while it was in progress is then tagged once more: its event is added to the low-priority inbox.
-- A record that is kept, since tagging its version again failed, keeps its revision.
-- KEYS: those of counting.lua, ledger, segmenting, records, objects, damaged, feed, tags, last number, low-priority
--       inbox, its objects that wait, marks, then of each object: entry, record, segmentation request, statements
-- ARGV: prefix, revision, feed_length, time, then of each object: oid, etag, state, reason (as it is counted), method
--       ('' not segmented), the revision of a record that is kept ('' it is of the one above), place of the state in
--       the list of records, what people said of it that is part of the record ('*' nothing is), the stored record that
--       was there before ('' none), the rows of that, the rows of the new one (see tag_index), the body
-- Returns of each object: written | refused | changed (people have said something else, or there is another record)
local prefix, revision, at = ARGV[1], ARGV[2], tonumber(ARGV[4])
local ledger, segmenting, records, objects, damaged, feed, tags, last, low_priority, once, marks = unpack(KEYS, 4, 14)

-- An object keeps its time in the list of records. Times count in ticks of 2^-17 s, which all states have exactly.
local TICKS = 131072
local function score_of(place, known)
    local since = known and tonumber(known) % SPAN or at
    return string.format('%.17g', place * SPAN + math.floor(since * TICKS) / TICKS)
end

-- The mark has batches and clients wait (workers/lifecycle/retag_marks.py). Without an ETag the dispatcher looks into
-- the bucket.
local function tag_again(oid)
    local waits = redis.call('HGET', once, oid)
    if not waits or #redis.call('XRANGE', low_priority, waits, waits) == 0 then
        local bucket, key = string.match(oid, '^([^/]*)/(.*)$')
        local event = cmsgpack.pack({kind = 'created', bucket = bucket, key = key, force = true})
        waits = redis.call('XADD', low_priority, '*', 'event', event)
        redis.call('HSET', once, oid, waits)
    end
    redis.call('HSET', marks, oid, 'l' .. waits)
end

local function finish(keys, oid, etag, state, reason, method, kept, place, said, known, old, new, body)
    local entry_key, record_key, request_key, statements_key = unpack(keys)
    local entry = redis.call('HMGET', entry_key, 'etag', 'revision', 'sequence', 'segment', 'requested', 'accepted_at',
        'queue', 'since', 'again')
    if entry[1] ~= etag or entry[2] ~= revision then return 'refused' end
    if state == 'done' and (entry[4] or '') ~= method then return 'refused' end
    if said ~= '*' and (redis.call('GET', statements_key) or '') ~= said then return 'changed' end
    local before = redis.call('GET', record_key) or ''
    if before ~= known then return 'changed' end

    local was = head_of(before)
    local number = was and was[NUMBER]
    local reserved = not number and redis.call('HGET', prefix .. 'reserved-numbers', oid)
    if reserved then
        number = tonumber(reserved)
        redis.call('HDEL', prefix .. 'reserved-numbers', oid)
        local page, field = place_of(prefix, number)
        redis.call('HSET', page, field, oid)
    elseif not number then
        number = redis.call('INCR', last)
        local page, field = place_of(prefix, number)
        redis.call('HSET', page, field, oid)
    end
    local member = member_of(number)
    unindex(prefix, tags, member, old)
    index(prefix, tags, member, new)
    local of = kept ~= '' and kept or revision
    local value = with_head({etag, entry[3] or '', of, state, method, entry[5] or '', number, at}, body)
    redis.call('SET', record_key, value)
    redis.call('ZADD', records, score_of(tonumber(place), redis.call('ZSCORE', records, member)), member)
    redis.call('ZADD', objects, 0, oid)
    redis.call('XADD', feed, 'MAXLEN', '~', ARGV[3], '*', 'oid', oid, 'state', state, 'body', value)
    redis.call('DEL', entry_key)
    tally('finished:' .. state .. ':' .. reason)
    observe('object:', entry[6], at)
    forget(oid, entry[7], entry[8] or entry[6], at)
    -- keep a request that came too late for this record
    local request = redis.call('GET', request_key)
    if request and (state ~= 'done' or method == (request ~= 'none' and request or '')) then
        redis.call('DEL', request_key)
    end
    redis.call('ZREM', ledger, oid)
    redis.call('SREM', damaged, oid)
    redis.call('SREM', segmenting, oid)
    if entry[9] then tag_again(oid) end
    return 'written'
end

local answers = {}
for n = 0, (#KEYS - 14) / 4 - 1 do
    answers[n + 1] = finish({unpack(KEYS, 15 + 4 * n, 18 + 4 * n)}, unpack(ARGV, 5 + 12 * n, 16 + 12 * n))
end
settle()
return answers
