-- Forget a removed object: delete its record, its ledger entry and its requests.
-- ARGV: prefix, oid, feed_length
-- Returns: removed | unknown
local prefix, oid = ARGV[1], ARGV[2]
local waited = redis.call('DEL', prefix .. 'entry:' .. oid) == 1
redis.call('DEL', prefix .. 'segmentation-request:' .. oid)
redis.call('ZREM', prefix .. 'segmentation-queue', oid)
redis.call('SREM', prefix .. 'segmentation-queue:forced', oid)
redis.call('ZREM', prefix .. 'ledger', oid)
redis.call('SREM', prefix .. 'segmenting', oid)
local known = unindex(prefix, oid)
redis.call('DEL', prefix .. 'record:' .. oid)
redis.call('ZREM', prefix .. 'records', oid)
redis.call('ZREM', prefix .. 'objects', oid)
redis.call('SREM', prefix .. 'damaged', oid)
if not known and not waited then return 'unknown' end
redis.call('XADD', prefix .. 'feed', 'MAXLEN', '~', ARGV[3], '*', 'oid', oid, 'state', 'removed', 'body', '')
return 'removed'
