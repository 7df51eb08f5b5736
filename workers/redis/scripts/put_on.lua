-- Record that objects are put on the queue of a stage. What the ledger does not wait for is ignored.
-- KEYS: those of counting.lua, then the entry of each object
-- ARGV: revision, queue, now, sent (on; again, which is counted; back: to the end of the queue, by who has begun with
--       them), then of each object: oid, etag
local revision, to, now, again, back = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == 'again', ARGV[4] == 'back'
for n = 1, #KEYS - 3 do
    local entry_key, oid, etag = KEYS[3 + n], ARGV[3 + 2 * n], ARGV[4 + 2 * n]
    local entry = redis.call('HMGET', entry_key, 'etag', 'revision', 'queue', 'since', 'accepted_at')
    if entry[1] == etag and entry[2] == revision then
        local queue = entry[3] or FIRST
        -- a call that is repeated since its answer was lost has the same time
        if again and redis.call('HGET', entry_key, 'resent_at') ~= now then
            tally('retries:' .. queue)
            redis.call('HSET', entry_key, 'resent_at', now, 'begun_on', '')
        end
        if again then  -- it is missing in the sets if its entry was restored, or is of an older version
            join(ACCEPTED, oid, entry[5])
            if queue == to then join(QUEUES .. to, oid, entry[4] or entry[5]) end
        end
        if not back then
            move(entry_key, oid, queue, entry[4] or entry[5], to, now)
        elseif queue == to then
            redis.call('HSET', entry_key, 'resent_at', now, 'begun_on', '')
        end
    end
end
settle()
return 1
