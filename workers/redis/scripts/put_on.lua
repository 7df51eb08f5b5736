-- Record that objects are put on the queue of a stage. What the ledger does not wait for is ignored.
-- KEYS: those of counting.lua, then the entry of each object
-- ARGV: revision, queue, now, again (1: they are sent again, which is counted), then of each object: oid, etag
local revision, queue, now, again = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
for n = 1, #KEYS - 3 do
    local entry_key, oid, etag = KEYS[3 + n], ARGV[3 + 2 * n], ARGV[4 + 2 * n]
    local entry = redis.call('HMGET', entry_key, 'etag', 'revision', 'queue', 'since', 'stage', 'resent_at')
    -- a call that is repeated since its answer was lost has the same time
    if entry[1] == etag and entry[2] == revision and not (again and entry[6] == now) then
        if again then
            tally('retries:' .. (entry[3] or entry[5]))
            redis.call('HSET', entry_key, 'resent_at', now)
        end
        move(entry_key, oid, entry[3], entry[4], queue, now)
    end
end
settle()
return 1
