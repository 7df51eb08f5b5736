-- Add objects to a batch, and their events to the end of the stream, atomically.
-- KEYS: the batch's open objects, the stream if events are to be added, and the marks if its objects are to be marked
-- (workers/lifecycle/retag_marks.py). ARGV: the batch's lifetime, which stream, then for each object its id and, if
-- events are to be added, its event.
-- The score is the time (of Redis, in ms) of the object's event, or the current time: when every event up to that time
-- has been handled, the object's event has been handled too. Only Redis's clock will do: an event that is added later
-- than its score says would be taken for a handled one.
local now = redis.call('TIME')
local at = now[1] * 1000 + math.floor(now[2] / 1000)
local with_events = #KEYS > 1
for i = 3, #ARGV, with_events and 2 or 1 do
  if with_events then
    local entry = redis.call('XADD', KEYS[2], '*', 'event', ARGV[i + 1])
    at = tonumber(string.match(entry, '^%d+'))
    if KEYS[3] then redis.call('HSET', KEYS[3], ARGV[i], ARGV[2] .. entry) end
  end
  redis.call('ZADD', KEYS[1], at, ARGV[i])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
