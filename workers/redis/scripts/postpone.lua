-- Record a transient fault and retry the object later. No attempt is counted.
-- ARGV: prefix, oid, etag, revision, until, fault
local prefix, oid = ARGV[1], ARGV[2]
local entry_key = prefix .. 'entry:' .. oid
local entry = redis.call('HMGET', entry_key, 'etag', 'revision')
if entry[1] ~= ARGV[3] or entry[2] ~= ARGV[4] then return 0 end
redis.call('HSET', entry_key, 'fault', ARGV[6], 'stage', 'waiting')
if tonumber(redis.call('HGET', entry_key, 'attempts')) > 0 then redis.call('HINCRBY', entry_key, 'attempts', -1) end
redis.call('ZADD', prefix .. 'ledger', ARGV[5], oid)
redis.call('SREM', prefix .. 'segmenting', oid)  -- it gives up its place in the segmentation queue
return 1
