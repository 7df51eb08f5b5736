-- Give up the segmentation of an object, which goes through the other stages once more and is then finished without it.
-- Its attempts are counted anew: those before were of the segmentation.
-- KEYS: entry. ARGV: etag, revision, why (msgpack)
-- Returns: 1, or 0 if the ledger does not wait for it any more
local entry = redis.call('HMGET', KEYS[1], 'etag', 'revision')
if entry[1] ~= ARGV[1] or entry[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'unsegmented', ARGV[3], 'attempts', 0)
redis.call('HDEL', KEYS[1], 'crash', 'fault', 'fault_since')
return 1
