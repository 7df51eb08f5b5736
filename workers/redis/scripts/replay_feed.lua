-- Add records that a change of the encoder has replaced to the feed, and note how far this is.
-- KEYS: feed:replay, feed, then the record of each object. ARGV: what `after` and `until` must be, the next `after`
--       ('' ends it), feed_length, space, then the OID of each object
-- Returns: number of entries that were added | -1 (another process has gone on, or another change was made)
local replay, feed = KEYS[1], KEYS[2]
local known = redis.call('HMGET', replay, 'after', 'until')
if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then return -1 end
local added = 0
for n = 1, #KEYS - 2 do
    local value = redis.call('GET', KEYS[2 + n])
    local head = value and head_of(value)
    -- one that was tagged since has its entry
    if head and head[STATE] == 'done' and string.match(head[REVISION], '^[^/]*') == ARGV[5]
        and tonumber(head[TIME]) <= tonumber(ARGV[2]) then
        redis.call('XADD', feed, 'MAXLEN', '~', ARGV[4], '*', 'oid', ARGV[5 + n], 'state', head[STATE], 'body', value)
        added = added + 1
    end
end
if ARGV[3] == '' then
    redis.call('DEL', replay)
else
    redis.call('HSET', replay, 'after', ARGV[3])
    redis.call('HINCRBY', replay, 'added', added)
end
return added
