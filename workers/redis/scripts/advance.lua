-- Record that an object starts a stage, and extend its deadline. Versions and revisions that the ledger does not wait
-- for are ignored.
-- ARGV: prefix, oid, etag, revision, stage, deadline, begin (1: count an attempt), now, queued (1: it is put on the
--       queue of the stage and has not started)
-- Returns: accepted_at, or false if the result is no longer wanted
local prefix, oid = ARGV[1], ARGV[2]
local entry_key = prefix .. 'entry:' .. oid
local entry = redis.call('HMGET', entry_key, 'etag', 'revision', 'accepted_at', 'segment')
if entry[1] ~= ARGV[3] or entry[2] ~= ARGV[4] then return false end
redis.call('HSET', entry_key, 'stage', ARGV[5], 'at:' .. ARGV[5], ARGV[8])
redis.call('HDEL', entry_key, 'fault')
if ARGV[9] == '1' then redis.call('HSET', entry_key, 'queued_at', ARGV[8]) end
if entry[4] and entry[4] ~= '' then redis.call('SADD', prefix .. 'segmenting', oid) end
if ARGV[7] == '1' then redis.call('HINCRBY', entry_key, 'attempts', 1) end
redis.call('ZADD', prefix .. 'ledger', ARGV[6], oid)
return entry[3]
