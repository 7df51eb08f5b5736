-- Note that a partition has lost its keys: records count as incomplete until the bucket was compared from its beginning,
-- and what people said is replayed from its journal.
-- KEYS: ids of the data of partitions, refill, progress of the comparison, mark of the journal
-- ARGV: partition, id of its data, now (Unix seconds)
-- Returns: 1 if it was noted, 0 if another process has done so, or the partition is new
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known == ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if not known then return 0 end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
redis.call('HSET', KEYS[2], 'since', ARGV[3])
return 1
