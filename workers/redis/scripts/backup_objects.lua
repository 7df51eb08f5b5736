-- Read stored records, each with its place in the list of records, which no writer changes in between.
-- KEYS: records, then the record of each object
-- Returns of each object: {the stored record, its score}, or false without a record
local answers = {}
for n = 2, #KEYS do
    local value = redis.call('GET', KEYS[n])
    local head = value and head_of(value)
    local score = head and redis.call('ZSCORE', KEYS[1], member_of(head[NUMBER]))
    answers[n - 1] = value and {value, score or ''} or false
end
return answers
