-- Request the segmentation of an object. An existing ledger entry is changed at once, because its record may be written
-- before the event of this request arrives.
-- ARGV: prefix, oid, method (or none), lifetime
local prefix, oid, method = ARGV[1], ARGV[2], ARGV[3]
local entry_key = prefix .. 'entry:' .. oid
redis.call('SET', prefix .. 'segmentation-request:' .. oid, method, 'EX', ARGV[4])
if redis.call('EXISTS', entry_key) == 0 then return end
if method == 'none' then method = '' end
redis.call('HSET', entry_key, 'segment', method, 'requested', '1')
redis.call(method ~= '' and 'SADD' or 'SREM', prefix .. 'segmenting', oid)
