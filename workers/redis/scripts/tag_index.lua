-- Shared by finish, remove and reindex: the index of records by their labels.
-- labels (JSON list): how a record is found. A row is the form of a label; or {form, label} where the record spells it
-- otherwise; or {form, '', by} for a form that the label with the form `by` implies.
local function rows(labels)
    local read, found = pcall(cjson.decode, labels or '')
    return read and type(found) == 'table' and found or {}
end

local function parts(row)
    if type(row) ~= 'table' then row = {row} end
    return type(row[1]) == 'string' and row[1], row[2] ~= '' and row[2], row[3]
end

-- implied forms are listed, too, without being counted
local function count(prefix, form, spelling, by, change)
    redis.call('ZINCRBY', prefix .. 'tags', by and 0 or change, form)
    if not spelling then return end
    local spellings = prefix .. 'tag-spellings:' .. form
    if redis.call('ZINCRBY', spellings, change, spelling) + 0 <= 0 then redis.call('ZREM', spellings, spelling) end
end

-- add a record to the index; ARGV holds the rank of each row, beginning with position `first`
local function index(prefix, oid, labels, first)
    for place, row in ipairs(rows(labels)) do
        local form, spelling, by = parts(row)
        redis.call('ZADD', prefix .. 'tag:' .. form, ARGV[first + place - 1], oid)
        count(prefix, form, spelling, by, 1)
    end
end

-- remove a record from the indexes by state and label
local function unindex(prefix, oid)
    local old = redis.call('HMGET', prefix .. 'record:' .. oid, 'state', 'labels')
    if not old[1] then return false end
    redis.call('ZREM', prefix .. 'state:' .. old[1], oid)
    for _, row in ipairs(rows(old[2])) do
        local form, spelling, by = parts(row)
        if form then
            redis.call('ZREM', prefix .. 'tag:' .. form, oid)
            count(prefix, form, spelling, by, -1)
            if redis.call('EXISTS', prefix .. 'tag:' .. form) == 0 then
                redis.call('ZREM', prefix .. 'tags', form)
                redis.call('DEL', prefix .. 'tag-spellings:' .. form)
            end
        end
    end
    return true
end
