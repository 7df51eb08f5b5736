-- Enter one object in the ledger, unless there is nothing to do.
-- ARGV: prefix, oid, etag, revision, sequence ('' unknown), ref, now, deadline, verified (1/0), force (1/0),
--       segment (a way to segment it, 'none', or '' where nothing is said)
-- Returns: entered | again | duplicate | done | stale | segment:WAY (nothing was said, and it is to be segmented as
--          its record is: whoever asks puts it with those that are)
local prefix, oid, etag, revision, sequence = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local verified, force = ARGV[9] == '1', ARGV[10] == '1'
local said, way = ARGV[11] ~= '', ARGV[11] ~= 'none' and ARGV[11] or ''
local entry_key, record_key, ledger = prefix .. 'entry:' .. oid, prefix .. 'record:' .. oid, prefix .. 'ledger'
local segmenting = prefix .. 'segmenting'

local record = redis.call('HMGET', record_key, 'etag', 'revision', 'sequence', 'state', 'segment')
local entry = redis.call('HMGET', entry_key, 'etag', 'revision', 'sequence', 'segment')
local drawn = record[5] or ''

local function older(than)
    return not verified and sequence ~= '' and than and than ~= '' and sequence < than
end

-- a record without tags stays as it is, whatever is to be drawn
local enough = way == '' or way == drawn or record[4] ~= 'done'
if record[1] == etag and record[2] == revision and not force and enough then
    -- what the bucket holds is what the record says: an entry for another version is a leftover of a late event
    if verified and entry[1] and entry[1] ~= etag then
        redis.call('DEL', entry_key)
        redis.call('ZREM', ledger, oid)
        redis.call('SREM', segmenting, oid)
    end
    if not entry[1] or verified then return 'done' end
end
-- what is on its way is asked what to draw when it has its tags
if entry[1] == etag and said and way ~= (entry[4] or '') then
    redis.call('HSET', entry_key, 'segment', way)
    redis.call(way ~= '' and 'SADD' or 'SREM', segmenting, oid)
end
if entry[1] == etag and entry[2] == revision then return force and 'again' or 'duplicate' end
-- what is on its way finishes with the captions it began with; only vectors of another space are worth nothing
local function space(of) return string.match(of, '^[^/]*') end
if entry[1] == etag and space(entry[2]) == space(revision) and not force then return 'duplicate' end
if older(record[3]) or older(entry[3]) then return 'stale' end
if not said and record[1] == etag and drawn ~= '' then return 'segment:' .. drawn end

redis.call('DEL', entry_key)
redis.call('HSET', entry_key, 'ref', ARGV[6], 'etag', etag, 'revision', revision, 'sequence', sequence,
    'stage', 'queued', 'attempts', 0, 'accepted_at', ARGV[7], 'segment', way)
redis.call(way ~= '' and 'SADD' or 'SREM', segmenting, oid)
redis.call('ZADD', ledger, ARGV[8], oid)
return 'entered'
