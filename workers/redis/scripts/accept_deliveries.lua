-- Queue deliveries, due at once, and acknowledge the entries that they were made of.
-- KEYS: waiting, due, counts, stream
-- ARGV: group, number of lost entries, now, number of entries, the entries, then of each delivery: id, delivery
local waiting, due, counts, stream = unpack(KEYS)
local group, lost, now, entries = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local bytes = 0
for n = 5 + entries, #ARGV, 2 do
    if redis.call('HSETNX', waiting, ARGV[n], ARGV[n + 1]) == 1 then bytes = bytes + #ARGV[n + 1] end
    redis.call('ZADD', due, 'NX', now, ARGV[n])
end
if bytes > 0 then redis.call('HINCRBY', counts, 'bytes', bytes) end
for n = 5, 4 + entries do redis.call('XACK', stream, group, ARGV[n]) end
if lost > 0 then redis.call('HINCRBY', counts, 'lost', lost) end
return 1
