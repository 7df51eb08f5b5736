-- Record that a process ended while it worked on objects, so that each is worked on with nothing beside it from now on.
-- What the ledger does not wait for is ignored.
-- KEYS: those of counting.lua, ledger, then the entry of each object
-- ARGV: revision, how it ended, deadline, blamed (1: it was the only one, so its attempt counts), then of each: oid, etag
-- Returns: the oids of those that the ledger waits for
local found = {}
for n = 1, #KEYS - 4 do
    local entry_key, oid, etag = KEYS[4 + n], ARGV[3 + 2 * n], ARGV[4 + 2 * n]
    local entry = redis.call('HMGET', entry_key, 'etag', 'revision', 'attempts', 'queue')
    if entry[1] == etag and entry[2] == ARGV[1] then
        -- it had begun with it, whatever was sent again meanwhile
        redis.call('HSET', entry_key, 'crash', ARGV[2], 'begun_on', entry[4] or FIRST)
        if ARGV[4] ~= '1' and tonumber(entry[3]) > 0 then redis.call('HINCRBY', entry_key, 'attempts', -1) end
        redis.call('ZADD', KEYS[4], ARGV[3], oid)
        found[#found + 1] = oid
    end
end
return found
