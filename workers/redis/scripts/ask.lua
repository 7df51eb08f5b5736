-- Have an object segmented: what is on its way is told at once, since its record may be written before its event comes.
-- ARGV: prefix, oid, way (or none), lifetime
local prefix, oid, way = ARGV[1], ARGV[2], ARGV[3]
local entry_key = prefix .. 'entry:' .. oid
redis.call('SET', prefix .. 'wish:' .. oid, way, 'EX', ARGV[4])
if redis.call('EXISTS', entry_key) == 0 then return end
if way == 'none' then way = '' end
redis.call('HSET', entry_key, 'segment', way, 'asked', '1')
redis.call(way ~= '' and 'SADD' or 'SREM', prefix .. 'segmenting', oid)
