-- Stop working on an object whose removal is held: it leaves the ledger and the segmentation queue without a record.
-- It is remembered if it was in progress, or was to be tagged again. Its record and its segmentation request stay.
-- ARGV: prefix, bucket, oid, again (1: it was to be tagged again)
-- Returns: interrupted | idle
local prefix, bucket, oid = ARGV[1], ARGV[2], ARGV[3]
local waited = redis.call('DEL', prefix .. 'entry:' .. oid) + redis.call('ZREM', prefix .. 'segmentation-queue', oid)
redis.call('SREM', prefix .. 'segmentation-queue:forced', oid)
redis.call('ZREM', prefix .. 'ledger', oid)
redis.call('SREM', prefix .. 'segmenting', oid)
if waited == 0 and ARGV[4] ~= '1' then return 'idle' end
redis.call('ZADD', prefix .. 'interrupted:' .. bucket, 0, oid)
return 'interrupted'
