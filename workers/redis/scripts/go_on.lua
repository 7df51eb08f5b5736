-- Record progress with an object of a stage: extend its deadline, and those of all objects that were queued after it.
-- An object that was queued before it and has not started has lost its message; it stays overdue.
-- KEYS: ledger, segmenting. ARGV: what the keys of entries begin with, oid, stage, deadline, when it was queued if it is
--       in another partition
-- Returns: when it was queued; nil if it is not in this stage
local ledger, segmenting = unpack(KEYS)
local begin, stage = ARGV[1], ARGV[3]
local function queued_at(oid)
    local entry = redis.call('HMGET', begin .. oid, 'stage', 'queued_at')
    return entry[1] == stage and tonumber(entry[2]) or nil
end
local mine = tonumber(ARGV[5]) or queued_at(ARGV[2])
if not mine then return nil end
for _, oid in ipairs(redis.call('SMEMBERS', segmenting)) do
    local theirs = queued_at(oid)
    if oid == ARGV[2] or (theirs and theirs >= mine) then
        redis.call('ZADD', ledger, 'XX', ARGV[4], oid)
    end
end
return string.format('%.17g', mine)
