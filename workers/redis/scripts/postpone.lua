-- Record a transient fault of an object and retry it later. No attempt is counted: the one in progress is taken back, and
-- advance.lua counts it again when the same message goes on.
-- KEYS: those of counting.lua, ledger, segmenting, entry
-- ARGV: oid, etag, revision, until, fault, now, own (1: a fault of the object; it is given up when it lasts too long.
--       Otherwise a service is away, and what was before is no reason to give the object up), what is taken back:
--       begun (the attempt in progress, if there is one) | none (its attempt was not counted) | one (in any case)
local ledger, segmenting, entry_key = unpack(KEYS, 4)
local entry = redis.call('HMGET', entry_key, 'etag', 'revision', 'attempts', 'queue', 'since', 'accepted_at',
    'stage')
if entry[1] ~= ARGV[2] or entry[2] ~= ARGV[3] then return 0 end
local queue = entry[4] or FIRST
if queue ~= PUT_OFF then  -- otherwise it was put off before
    tally('postponed:' .. queue)
    move(entry_key, ARGV[1], queue, entry[5] or entry[6], PUT_OFF, ARGV[6])
    settle()
end
redis.call('HSET', entry_key, 'fault', ARGV[5], 'stage', 'waiting')
if ARGV[7] == '1' then
    redis.call('HSETNX', entry_key, 'fault_since', ARGV[6])
else
    redis.call('HDEL', entry_key, 'fault_since')
end
local back = ARGV[8] == 'one' or ARGV[8] == 'begun' and entry[7] ~= PUT_OFF
if back and tonumber(entry[3]) > 0 then redis.call('HINCRBY', entry_key, 'attempts', -1) end
redis.call('ZADD', ledger, ARGV[4], ARGV[1])
redis.call('SREM', segmenting, ARGV[1])  -- it gives up its place in the segmentation queue
return 1
