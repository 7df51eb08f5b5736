-- Add an event to a stream, unless one of the same object waits to be read.
-- KEYS: the stream, the hash of the objects that wait, the marks (workers/lifecycle/retag_marks.py)
-- ARGV: object id, event, which stream ('' no mark)
-- Returns: 1 if it was added
local entry, added = redis.call('HGET', KEYS[2], ARGV[1]), 0
-- '1' is of an older release, which did not note the entry
if entry == '1' and redis.call('XLEN', KEYS[1]) == 0 then entry = nil end
if entry and entry ~= '1' and #redis.call('XRANGE', KEYS[1], entry, entry) == 0 then entry = nil end
if not entry then
    entry, added = redis.call('XADD', KEYS[1], '*', 'event', ARGV[2]), 1
    redis.call('HSET', KEYS[2], ARGV[1], entry)
end
if ARGV[3] ~= '' and entry ~= '1' then redis.call('HSET', KEYS[3], ARGV[1], ARGV[3] .. entry) end
return added
