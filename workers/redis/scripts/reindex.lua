-- Add a record to an index by label that does not have it yet. Refused where the record has changed meanwhile.
-- ARGV: prefix, oid, body, labels, rank of each of the labels, …
-- Returns: 1 | 0
local prefix, oid = ARGV[1], ARGV[2]
local record_key = prefix .. 'record:' .. oid
if redis.call('HGET', record_key, 'body') ~= ARGV[3] then return 0 end
redis.call('HSET', record_key, 'labels', ARGV[4])
index(prefix, oid, ARGV[4], 5)
return 1
