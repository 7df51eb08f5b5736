-- Add a record to an index by label that does not have it yet. Refused where the record has changed meanwhile.
-- KEYS: record, tags. ARGV: prefix, the stored record, rows (see tag_index)
-- Returns: 1 | 0
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
local head = head_of(ARGV[2])
if not head then return 0 end
index(ARGV[1], KEYS[2], member_of(head[NUMBER]), ARGV[3])
return 1
