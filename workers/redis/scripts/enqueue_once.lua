-- Add an event to a stream, unless one of the same object waits to be read.
-- KEYS: the stream, the hash of the objects that wait, the marks (workers/lifecycle/retag_marks.py)
-- ARGV: object id, event, which stream ('' no mark)
-- Returns: 1 if it was added
if redis.call('EXISTS', KEYS[2]) == 1 and redis.call('XLEN', KEYS[1]) == 0 then
    redis.call('DEL', KEYS[2]) -- left by entries that could not be decoded
end
if redis.call('HSETNX', KEYS[2], ARGV[1], 1) == 0 then return 0 end
local entry = redis.call('XADD', KEYS[1], '*', 'event', ARGV[2])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[3], ARGV[1], ARGV[3] .. entry) end
return 1
