-- Add an event to a stream, and mark its object as waiting for it (workers/lifecycle/retag_marks.py).
-- KEYS: the stream, the marks. ARGV: which stream, object id, event
local entry = redis.call('XADD', KEYS[1], '*', 'event', ARGV[3])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1] .. entry)
