-- Forget removed objects: delete their records, their ledger entries and their requests.
-- KEYS: those of counting.lua, ledger, segmenting, records, objects, damaged, feed, tags, segmentation queue, its forced
--       objects, its origins, then of each object: entry, record, segmentation request
-- ARGV: prefix, feed_length, then of each object: oid, the stored record that was there before ('' none), its rows,
--       what the feed tells of it ('' nothing but its id)
-- Returns of each object: removed | unknown | changed (there is another record)
local prefix = ARGV[1]
local ledger, segmenting, records, objects, damaged, feed, tags, queue, forced, origins = unpack(KEYS, 4, 13)

local function remove(keys, oid, known, rows, about)
    local entry_key, record_key, request_key = unpack(keys)
    local before = redis.call('GET', record_key) or ''
    if before ~= known then return 'changed' end
    local stage = redis.call('HGET', entry_key, 'queue')
    local waited = redis.call('DEL', entry_key) == 1
    if waited then
        tally('withdrawn:removed')
        forget(oid, stage)
    end
    redis.call('DEL', request_key)
    redis.call('ZREM', queue, oid)
    redis.call('SREM', forced, oid)
    redis.call('HDEL', origins, oid)
    redis.call('ZREM', ledger, oid)
    redis.call('SREM', segmenting, oid)
    local head = head_of(before)
    if head then
        local member, page, field = member_of(head[NUMBER]), place_of(prefix, head[NUMBER])
        unindex(prefix, tags, member, rows)
        redis.call('ZREM', records, member)
        redis.call('HDEL', page, field)
    end
    redis.call('DEL', record_key)
    redis.call('ZREM', objects, oid)
    redis.call('SREM', damaged, oid)
    if before == '' and not waited then return 'unknown' end
    redis.call('XADD', feed, 'MAXLEN', '~', ARGV[2], '*', 'oid', oid, 'state', 'removed', 'body', '', 'removed', about)
    return 'removed'
end

local answers = {}
for n = 0, (#KEYS - 13) / 3 - 1 do
    answers[n + 1] = remove({unpack(KEYS, 14 + 3 * n, 16 + 3 * n)}, unpack(ARGV, 3 + 4 * n, 6 + 4 * n))
end
settle()
return answers
