-- Stop working on an object whose removal is held: it leaves the ledger and the segmentation queue without a record.
-- It is remembered if it was in progress, or was to be tagged again. Its record and its segmentation request stay.
-- KEYS: those of counting.lua, ledger, segmenting, segmentation queue, its forced objects, its origins, interrupted
--       objects of the bucket, entry
-- ARGV: oid, again (1: it was to be tagged again)
-- Returns: interrupted | idle
local ledger, segmenting, queue, forced, origins, interrupted, entry_key = unpack(KEYS, 4)
local oid = ARGV[1]
local stage = redis.call('HGET', entry_key, 'queue')
local accepted = redis.call('DEL', entry_key)
if accepted == 1 then
    tally('withdrawn:held')
    forget(oid, stage)
    settle()
end
local waited = accepted + redis.call('ZREM', queue, oid)
redis.call('SREM', forced, oid)
redis.call('HDEL', origins, oid)
redis.call('ZREM', ledger, oid)
redis.call('SREM', segmenting, oid)
if waited == 0 and ARGV[2] ~= '1' then return 'idle' end
redis.call('ZADD', interrupted, 0, oid)
return 'interrupted'
