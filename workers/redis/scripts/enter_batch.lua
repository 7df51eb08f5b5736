-- Add objects to a batch, and their events to the end of the stream, atomically.
-- KEYS: the batch's open objects, and the stream if events are to be added. ARGV: the batch's lifetime, then for each
-- object its id and, if events are to be added, its event.
-- The score is the time (of Redis, in ms) of the object's event, or the current time: when every event up to that time
-- has been handled, the object's event has been handled too. Only Redis's clock will do: an event that is added later
-- than its score says would be taken for a handled one.
local now = redis.call('TIME')
local at = now[1] * 1000 + math.floor(now[2] / 1000)
local with_events = #KEYS > 1
for i = 2, #ARGV, with_events and 2 or 1 do
  if with_events then
    at = tonumber(string.match(redis.call('XADD', KEYS[2], '*', 'event', ARGV[i + 1]), '^%d+'))
  end
  redis.call('ZADD', KEYS[1], at, ARGV[i])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
