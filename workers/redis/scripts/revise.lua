-- Replace the labels of a record, because of what people said of the object. Its version and its time stay.
-- Refused where the record has changed meanwhile.
-- KEYS: record, feed, tags
-- ARGV: prefix, oid, the stored record, feed_length, its rows, the new rows (see tag_index), the new body
-- Returns: revised | refused
local record_key, feed, tags = unpack(KEYS)
local prefix, oid = ARGV[1], ARGV[2]
if redis.call('GET', record_key) ~= ARGV[3] then return 'refused' end
local head = head_of(ARGV[3])
local member, value = member_of(head[NUMBER]), with_head(head, ARGV[7])
unindex(prefix, tags, member, ARGV[5])
index(prefix, tags, member, ARGV[6])
redis.call('SET', record_key, value)
redis.call('XADD', feed, 'MAXLEN', '~', ARGV[4], '*', 'oid', oid, 'state', head[STATE], 'body', value)
return 'revised'
