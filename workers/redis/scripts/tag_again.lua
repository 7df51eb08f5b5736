-- Have all objects in progress tagged once more when they are finished, if a worker may have begun with them, or if they
-- were accepted for another revision.
-- KEYS: those of counting.lua, ledger. ARGV: what the keys of entries begin with, revision ('' any)
-- Returns: their number
local marked = 0
for _, oid in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
    local entry = redis.call('HMGET', ARGV[1] .. oid, 'revision', 'stage', 'at:retrieval')
    if entry[1] and (begun(entry[2], entry[3]) or ARGV[2] ~= '' and entry[1] ~= ARGV[2]) then
        redis.call('HSET', ARGV[1] .. oid, 'again', '1')
        marked = marked + 1
    end
end
return marked
