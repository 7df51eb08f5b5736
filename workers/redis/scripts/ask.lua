-- Request the segmentation of an object. An existing ledger entry is changed at once, because its record may be written
-- before the event of this request arrives.
-- KEYS: segmenting, entry, segmentation request. ARGV: oid, method (or none), lifetime
local segmenting, entry_key, request_key = unpack(KEYS)
local oid, method = ARGV[1], ARGV[2]
redis.call('SET', request_key, method, 'EX', ARGV[3])
if redis.call('EXISTS', entry_key) == 0 then return end
if method == 'none' then method = '' end
redis.call('HSET', entry_key, 'segment', method, 'requested', '1')
redis.call('HDEL', entry_key, 'unsegmented')  -- it is tried once more
redis.call(method ~= '' and 'SADD' or 'SREM', segmenting, oid)
