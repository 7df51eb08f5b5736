-- Where a stream was trimmed past what a group has read: let the group go on with the oldest entry that is there.
-- Whole, so that no reader moves the group meanwhile, and a loss is told once. Redis counts what a group has read from
-- 7.0 on; before, a loss is noticed and its size is not known.
-- ARGV: stream, group
-- Returns: how many entries were lost; 1 where that cannot be known
local function map(list)
    local found = {}
    for i = 1, #list, 2 do found[list[i]] = list[i + 1] end
    return found
end
local function numbers(id)
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    return tonumber(ms), tonumber(seq)
end

local key, name, group = ARGV[1], ARGV[2], nil
for _, one in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local found = map(one)
    if found['name'] == name then group = found end
end
local stream = map(redis.call('XINFO', 'STREAM', key))
local added, length, read, last = stream['entries-added'], stream['length'], group['entries-read'], group['last-delivered-id']
if last == '0-0' and not read then
    -- it has read nothing, and of what was trimmed before it was made nothing was meant for it
    if added and added == length then redis.call('XGROUP', 'SETID', key, name, '0', 'ENTRIESREAD', 0) end
    return 0
end
if length == 0 then return 0 end
local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1][1]
local ms, seq = numbers(first)
local last_ms, last_seq = numbers(last)
if last_ms > ms or (last_ms == ms and last_seq >= seq) then return 0 end

local before = string.format('%.0f-18446744073709551615', ms - 1)
if seq > 0 then before = string.format('%.0f-%.0f', ms, seq - 1) end
if last == before then return 0 end
if not added then
    redis.call('XGROUP', 'SETID', key, name, before)
    return 1
end
redis.call('XGROUP', 'SETID', key, name, before, 'ENTRIESREAD', added - length)
return read and added - length - read or 1
