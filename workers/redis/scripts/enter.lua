-- Enter objects in the ledger, unless there is nothing to do.
-- KEYS: those of counting.lua, ledger, segmenting, segmentation queue, its forced objects, its origins, low-priority
--       inbox, its objects that wait, marks, then of each object: entry, record, segmentation request
-- ARGV: revision, now, deadline, then of each object: oid, etag, sequence ('' unknown), ref, verified (1/0), force
--       (1/0), rule (the method that the settings choose, or ''), queued (1: it comes from the segmentation queue),
--       origin (what led to it, or '')
-- Returns of each object: entered | known (entered; there is a record with tags of this version) | again (forced, and
--       no worker has begun with it) | afterwards (forced, and a worker may have begun: finish.lua has it tagged once
--       more) | duplicate | done | stale | waiting (it is on the segmentation queue)
local ledger, segmenting, queue, forced, origins, low_priority, once, marks = unpack(KEYS, 4, 11)
local revision, now, deadline = unpack(ARGV, 1, 3)
local function space(of) return string.match(of, '^[^/]*') end

local function enter(keys, oid, etag, sequence, ref, seen, forcing, rule, from_queue, origin)
    local entry_key, record_key, request_key = unpack(keys)
    local verified, force, queued = seen == '1', forcing == '1', from_queue == '1'
    local record = head_at(record_key) or {}
    local entry = redis.call('HMGET', entry_key, 'etag', 'revision', 'sequence', 'queue', 'stage', 'at:retrieval',
        'again', 'forced')
    -- what was forced is forced for every version that takes the place of the one in progress
    local ordered = entry[7] or entry[8] == '1'
    if entry[1] and entry[1] ~= etag and ordered then force = true end
    local segmented, same = record[SEGMENT] or '', record[ETAG] == etag

    -- the method: as requested now or for the record of this version, otherwise as the settings choose
    local request = redis.call('GET', request_key)
    local method, requested = rule, ''
    if request then
        method, requested = request ~= 'none' and request or '', '1'
    elseif same and record[REQUESTED] == '1' then
        method, requested = segmented, '1'
    end

    local function older(than)
        return not verified and sequence ~= '' and than and than ~= '' and sequence < than
    end
    local function drop_entry()
        if not entry[1] then return end
        redis.call('DEL', entry_key)
        tally('withdrawn:replaced')
        forget(oid, entry[4])
    end
    local function answer(outcome)
        if queued then
            redis.call('ZREM', queue, oid)
            redis.call('SREM', forced, oid)
            redis.call('HDEL', origins, oid)
        end
        return outcome
    end

    -- a record without tags stays as it is, whatever is requested; a segmentation stays unless its removal is requested
    local enough = record[STATE] ~= 'done' or method == segmented or (method == '' and not request)
    if same and record[REVISION] == revision and not force and enough then
        -- the record has the version in the bucket: an entry comes from a late event, unless it is ordered or not known
        -- to be (from an older release)
        if verified and entry[1] and (entry[1] ~= etag or entry[8] == '0' and not ordered) then
            drop_entry()
            redis.call('ZREM', ledger, oid)
            redis.call('SREM', segmenting, oid)
        end
        if not entry[1] or verified then
            redis.call('DEL', request_key)
            return answer('done')
        end
    end
    if entry[1] == etag and entry[2] == revision then
        if not force then return answer('duplicate') end
        local late = begun(entry[5], entry[6])
        redis.call('HSET', entry_key, late and 'again' or 'forced', '1')
        return answer(late and 'afterwards' or 'again')
    end
    -- an object in flight keeps its captions version; only vectors of another space are useless
    if entry[1] == etag and space(entry[2]) == space(revision) and not force then return answer('duplicate') end
    if older(record[SEQUENCE]) or older(entry[3]) then return answer('stale') end

    -- an object that is being segmented keeps its place
    if method ~= '' and not queued and redis.call('SISMEMBER', segmenting, oid) == 0 then
        redis.call('ZADD', queue, 'NX', now, oid)
        if force then redis.call('SADD', forced, oid) end
        -- it is looked up again when it is due: the origin is that of this version only
        local version = etag .. '\0'
        if origin ~= '' then
            redis.call('HSET', origins, oid, version .. origin)
        elseif string.sub(redis.call('HGET', origins, oid) or version, 1, #version) ~= version then
            redis.call('HDEL', origins, oid)
        end
        drop_entry()
        redis.call('ZREM', ledger, oid)
        return 'waiting'
    end
    drop_entry()
    -- an order to tag it again that waits is met by this, unless the version is only hearsay
    local waits = (verified or same) and redis.call('HGET', once, oid)
    local met = waits and string.find(waits, '-', 1, true)
    redis.call('HSET', entry_key, 'ref', ref, 'etag', etag, 'revision', revision, 'sequence', sequence,
        'stage', 'queued', 'attempts', 0, 'accepted_at', now, 'segment', method, 'requested', requested,
        'forced', (force or met) and '1' or '0')
    if met then
        redis.call('XDEL', low_priority, waits)
        redis.call('HDEL', once, oid)
        if redis.call('HGET', marks, oid) == 'l' .. waits then redis.call('HDEL', marks, oid) end
    end
    local tagged = same and record[STATE] == 'done' and space(record[REVISION]) == space(revision)
    accept(entry_key, oid, now, tagged and KNOWN or FIRST)
    redis.call(method ~= '' and 'SADD' or 'SREM', segmenting, oid)
    redis.call('ZADD', ledger, deadline, oid)
    return answer(tagged and 'known' or 'entered')
end

local answers = {}
for n = 0, (#KEYS - 11) / 3 - 1 do
    answers[n + 1] = enter({unpack(KEYS, 12 + 3 * n, 14 + 3 * n)}, unpack(ARGV, 4 + 9 * n, 12 + 9 * n))
end
settle()
return answers
