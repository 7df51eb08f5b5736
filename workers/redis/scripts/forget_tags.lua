-- Shared by finish and remove: remove a record from the indexes.
local function unindex(prefix, oid)
    local old = redis.call('HMGET', prefix .. 'record:' .. oid, 'state', 'labels')
    if not old[1] then return false end
    redis.call('ZREM', prefix .. 'state:' .. old[1], oid)
    for _, label in ipairs(cjson.decode(old[2])) do
        redis.call('ZREM', prefix .. 'tag:' .. label, oid)
        if redis.call('ZINCRBY', prefix .. 'tags', -1, label) + 0 <= 0 then
            redis.call('ZREM', prefix .. 'tags', label)
        end
    end
    return true
end
