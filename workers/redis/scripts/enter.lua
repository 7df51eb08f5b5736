-- Enter one object in the ledger, unless there is nothing to do.
-- ARGV: prefix, oid, etag, revision, sequence ('' unknown), ref, now, deadline, verified (1/0), force (1/0),
--       rule (the method that the settings choose, or ''), queued (1: it comes from the segmentation queue)
-- Returns: entered | known (entered; there is a record with tags of this version) | again | duplicate | done | stale | waiting (it is on the segmentation queue)
local prefix, oid, etag, revision, sequence = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local verified, force, queued = ARGV[9] == '1', ARGV[10] == '1', ARGV[12] == '1'
local entry_key, record_key, ledger = prefix .. 'entry:' .. oid, prefix .. 'record:' .. oid, prefix .. 'ledger'
local request_key, segmenting = prefix .. 'segmentation-request:' .. oid, prefix .. 'segmenting'
local queue, forced = prefix .. 'segmentation-queue', prefix .. 'segmentation-queue:forced'

local record = redis.call('HMGET', record_key, 'etag', 'revision', 'sequence', 'state', 'segment', 'requested')
local entry = redis.call('HMGET', entry_key, 'etag', 'revision', 'sequence')
local segmented, same = record[5] or '', record[1] == etag

-- the method: as requested now or for the record of this version, otherwise as the settings choose
local request = redis.call('GET', request_key)
local method, requested = ARGV[11], ''
if request then
    method, requested = request ~= 'none' and request or '', '1'
elseif same and record[6] == '1' then
    method, requested = segmented, '1'
end

local function older(than)
    return not verified and sequence ~= '' and than and than ~= '' and sequence < than
end
local function answer(outcome)
    if queued then
        redis.call('ZREM', queue, oid)
        redis.call('SREM', forced, oid)
    end
    return outcome
end

-- a record without tags stays as it is, whatever is requested; a segmentation stays unless its removal is requested
local enough = record[4] ~= 'done' or method == segmented or (method == '' and not request)
if same and record[2] == revision and not force and enough then
    -- the record has the version in the bucket: an entry for another version comes from a late event
    if verified and entry[1] and entry[1] ~= etag then
        redis.call('DEL', entry_key)
        redis.call('ZREM', ledger, oid)
        redis.call('SREM', segmenting, oid)
    end
    if not entry[1] or verified then
        redis.call('DEL', request_key)
        return answer('done')
    end
end
if entry[1] == etag and entry[2] == revision then return answer(force and 'again' or 'duplicate') end
-- an object in flight keeps its captions version; only vectors of another space are useless
local function space(of) return string.match(of, '^[^/]*') end
if entry[1] == etag and space(entry[2]) == space(revision) and not force then return answer('duplicate') end
if older(record[3]) or older(entry[3]) then return answer('stale') end

-- an object that is being segmented keeps its place
if method ~= '' and not queued and redis.call('SISMEMBER', segmenting, oid) == 0 then
    redis.call('ZADD', queue, 'NX', ARGV[7], oid)
    if force then redis.call('SADD', forced, oid) end
    redis.call('DEL', entry_key)
    redis.call('ZREM', ledger, oid)
    return 'waiting'
end
redis.call('DEL', entry_key)
redis.call('HSET', entry_key, 'ref', ARGV[6], 'etag', etag, 'revision', revision, 'sequence', sequence,
    'stage', 'queued', 'attempts', 0, 'accepted_at', ARGV[7], 'segment', method, 'requested', requested)
redis.call(method ~= '' and 'SADD' or 'SREM', segmenting, oid)
redis.call('ZADD', ledger, ARGV[8], oid)
local tagged = same and record[4] == 'done' and space(record[2]) == space(revision)
return answer(tagged and 'known' or 'entered')
