-- Shared by finish and remove: remove a record from the indexes.
local function unindex(prefix, oid)
    local old = redis.call('HMGET', prefix .. 'record:' .. oid, 'state', 'labels')
    if not old[1] then return false end
    redis.call('ZREM', prefix .. 'state:' .. old[1], oid)
    local read, labels = pcall(cjson.decode, old[2])
    for _, label in ipairs(read and type(labels) == 'table' and labels or {}) do
        redis.call('ZREM', prefix .. 'tag:' .. label, oid)
        if redis.call('ZINCRBY', prefix .. 'tags', -1, label) + 0 <= 0 then
            redis.call('ZREM', prefix .. 'tags', label)
        end
    end
    return true
end
