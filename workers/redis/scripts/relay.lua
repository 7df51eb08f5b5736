-- Append entries of a partition's feed to the feed for clients, and store how far it was relayed, atomically.
-- Nothing is appended if another relay has done so meanwhile, or this call is repeated.
-- KEYS: feed, positions
-- ARGV: partition, the position that is expected ('' none), the new position, feed length, then of each entry: oid,
--       state, body, what is known of a removed one ('' nothing)
-- Returns: the position that is stored now, '' if none is
local feed, positions = unpack(KEYS)
local stored = redis.call('HGET', positions, ARGV[1]) or ''
if stored ~= ARGV[2] then return stored end
for n = 5, #ARGV, 4 do
    local entry = {'oid', ARGV[n], 'state', ARGV[n + 1], 'body', ARGV[n + 2]}
    if ARGV[n + 3] ~= '' then entry[7], entry[8] = 'removed', ARGV[n + 3] end
    redis.call('XADD', feed, 'MAXLEN', '~', ARGV[4], '*', unpack(entry))
end
redis.call('HSET', positions, ARGV[1], ARGV[3])
return ARGV[3]
