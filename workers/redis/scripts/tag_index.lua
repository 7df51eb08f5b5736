-- Shared by the scripts that change the index of records by their labels. A row is {form, label, by, rank}: the label
-- is empty if it is the form, or if the label of the form `by` implies it.
-- The keys are named from the prefix, since a record has any number of labels; all have the prefix of the others.

-- implied forms are listed, too, without being counted
local function count(prefix, tags, row, change)
    local form, label, by = row[1], row[2], row[3]
    redis.call('ZINCRBY', tags, by ~= '' and 0 or change, form)
    if label == '' then return end
    local spellings = prefix .. 'tag-spellings:' .. form
    if redis.call('ZINCRBY', spellings, change, label) + 0 <= 0 then redis.call('ZREM', spellings, label) end
end

local function index(prefix, tags, member, rows)
    for _, row in ipairs(cmsgpack.unpack(rows)) do
        redis.call('ZADD', prefix .. 'tag:' .. row[1], row[4], member)
        count(prefix, tags, row, 1)
    end
end

local function unindex(prefix, tags, member, rows)
    for _, row in ipairs(cmsgpack.unpack(rows)) do
        local key = prefix .. 'tag:' .. row[1]
        if redis.call('ZREM', key, member) == 1 then
            count(prefix, tags, row, -1)
            if redis.call('EXISTS', key) == 0 then
                redis.call('ZREM', tags, row[1])
                redis.call('DEL', prefix .. 'tag-spellings:' .. row[1])
            end
        end
    end
end
