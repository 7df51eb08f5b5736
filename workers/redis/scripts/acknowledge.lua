-- Move dead objects to the range of those that were acknowledged. The next record of an object moves it to its own
-- range.
-- KEYS: records, then the record of each object
-- ARGV: place of dead objects in the list of records, place of acknowledged ones
-- Returns of each object: acknowledged | already | not-dead (or there is no record)
local dead, acknowledged = tonumber(ARGV[1]), tonumber(ARGV[2])
local answers = {}
for n = 1, #KEYS - 1 do
    local head = head_at(KEYS[1 + n])
    local member = head and head[STATE] == 'dead' and member_of(head[NUMBER])
    local score = member and tonumber(redis.call('ZSCORE', KEYS[1], member) or nil)
    if not score then
        answers[n] = 'not-dead'
    elseif math.floor(score / SPAN) ~= dead then
        answers[n] = 'already'
    else
        redis.call('ZADD', KEYS[1], string.format('%.17g', score + (acknowledged - dead) * SPAN), member)
        answers[n] = 'acknowledged'
    end
end
return answers
