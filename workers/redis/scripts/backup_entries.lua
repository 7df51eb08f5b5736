-- Read entries of the ledger, each as it is at one moment.
-- KEYS: ledger, segmenting. ARGV: what the keys of entries begin with, then the objects
-- Returns of each object: {deadline, 1 if it is to be segmented, fields and values}, or false if it is not there
local answers = {}
for n = 2, #ARGV do
    local deadline = redis.call('ZSCORE', KEYS[1], ARGV[n])
    local fields = deadline and redis.call('HGETALL', ARGV[1] .. ARGV[n])
    answers[n - 1] = fields and #fields > 0
        and {deadline, redis.call('SISMEMBER', KEYS[2], ARGV[n]), fields} or false
end
return answers
