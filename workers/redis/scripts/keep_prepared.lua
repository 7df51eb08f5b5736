-- Put a record that another encoder cannot prepare, or must not, into its place as it is: it stays found by its tags.
-- KEYS: records, objects, tags, record. ARGV: prefix, oid, the stored record, the stored record that was there before
--       ('' none), its rows, rows of the new one (see tag_index), place of its state
-- Returns: 1 | 0 (there is another record)
local prefix, oid, value, known, old, new = unpack(ARGV)
if (redis.call('GET', KEYS[4]) or '') ~= known then return 0 end
local head, was = head_of(value), head_of(known)
if was then unindex(prefix, KEYS[3], member_of(was[NUMBER]), old) end
local page, field = place_of(prefix, head[NUMBER])
redis.call('HSET', page, field, oid)
index(prefix, KEYS[3], member_of(head[NUMBER]), new)
redis.call('SET', KEYS[4], value)
redis.call('ZADD', KEYS[2], 0, oid)
redis.call('ZADD', KEYS[1], tonumber(ARGV[7]) * SPAN + head[TIME], member_of(head[NUMBER]))
return 1
