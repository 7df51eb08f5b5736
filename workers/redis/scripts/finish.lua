-- Write the final record of one object and remove its ledger entry, atomically.
-- Refused unless the ledger waits for exactly this version and revision, so a record is written once and a late result
-- never overwrites a newer one. A record with tags must also have the segmentation that the ledger entry wants.
-- ARGV: prefix, oid, etag, revision, state, body, now, feed_length, method ('' not segmented), what people said of the
--       object that is part of the record ('*' nothing is), labels (see tag_index), rank of each of the labels, …
-- Returns: written | refused | said (people have said something else meanwhile)
local prefix, oid, etag, revision, state, body, now = unpack(ARGV, 1, 7)
local entry_key, record_key = prefix .. 'entry:' .. oid, prefix .. 'record:' .. oid
local method = ARGV[9]
local entry = redis.call('HMGET', entry_key, 'etag', 'revision', 'sequence', 'segment', 'requested')
if entry[1] ~= etag or entry[2] ~= revision then return 'refused' end
if state == 'done' and (entry[4] or '') ~= method then return 'refused' end
if ARGV[10] ~= '*' and (redis.call('GET', prefix .. 'statements:' .. oid) or '') ~= ARGV[10] then return 'said' end

unindex(prefix, oid)
index(prefix, oid, ARGV[11], 12)
redis.call('HSET', record_key, 'etag', etag, 'revision', revision, 'sequence', entry[3], 'state', state,
    'labels', ARGV[11], 'body', body, 'segment', method,
    'requested', entry[5] or '')
redis.call('ZADD', prefix .. 'records', now, oid)
redis.call('ZADD', prefix .. 'objects', 0, oid)
redis.call('ZADD', prefix .. 'state:' .. state, now, oid)
redis.call('XADD', prefix .. 'feed', 'MAXLEN', '~', ARGV[8], '*', 'oid', oid, 'state', state, 'body', body)
redis.call('DEL', entry_key)
-- keep a request that came too late for this record
local request_key = prefix .. 'segmentation-request:' .. oid
local request = redis.call('GET', request_key)
if request and (state ~= 'done' or method == (request ~= 'none' and request or '')) then
    redis.call('DEL', request_key)
end
redis.call('ZREM', prefix .. 'ledger', oid)
redis.call('SREM', prefix .. 'damaged', oid)
redis.call('SREM', prefix .. 'segmenting', oid)
return 'written'
