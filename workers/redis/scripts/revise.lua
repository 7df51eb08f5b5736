-- Replace the labels of a record, because of what people said of the object. Its version and its time stay.
-- Refused where the record has changed meanwhile.
-- ARGV: prefix, oid, body, new body, feed_length, labels (see tag_index), rank of each of the labels, …
-- Returns: revised | refused
local prefix, oid = ARGV[1], ARGV[2]
local record_key = prefix .. 'record:' .. oid
local record = redis.call('HMGET', record_key, 'body', 'state')
if record[1] ~= ARGV[3] then return 'refused' end
unindex(prefix, oid)
index(prefix, oid, ARGV[6], 7)
redis.call('ZADD', prefix .. 'state:' .. record[2], redis.call('ZSCORE', prefix .. 'records', oid) or 0, oid)
redis.call('HSET', record_key, 'body', ARGV[4], 'labels', ARGV[6])
redis.call('XADD', prefix .. 'feed', 'MAXLEN', '~', ARGV[5], '*', 'oid', oid, 'state', record[2], 'body', ARGV[4])
return 'revised'
