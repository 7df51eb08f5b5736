-- Objects into a batch, and their events behind those that wait, whole or not at all.
-- KEYS: the batch's open objects, the stream if they are to be told of. ARGV: the batch's lifetime, then of each object
-- its id and, if it is to be told of, its event.
-- The score is the time (Redis's own, ms) of the object's event, or of now: once every event that was told by then is
-- dealt with, so is this object's. No other clock will do: an event that is told later than its score would be taken
-- for one that is dealt with.
local now = redis.call('TIME')
local at = now[1] * 1000 + math.floor(now[2] / 1000)
local told = #KEYS > 1
for i = 2, #ARGV, told and 2 or 1 do
  if told then
    at = tonumber(string.match(redis.call('XADD', KEYS[2], '*', 'event', ARGV[i + 1]), '^%d+'))
  end
  redis.call('ZADD', KEYS[1], at, ARGV[i])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
