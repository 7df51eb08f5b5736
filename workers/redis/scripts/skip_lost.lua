-- When a stream was trimmed past the position of a group: move the group to the oldest entry that is left.
-- The script is atomic, so no reader moves the group meanwhile, and a loss is reported once. From version 7.0 on Redis
-- counts the entries that a group has read; with an older one a loss is detected, but not its size.
-- KEYS: stream. ARGV: group
-- Returns: the number of lost entries; 1 if it cannot be known
local function map(list)
    local found = {}
    for i = 1, #list, 2 do found[list[i]] = list[i + 1] end
    return found
end
local function numbers(id)
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    return tonumber(ms), tonumber(seq)
end

local key, name, group = KEYS[1], ARGV[1], nil
if redis.call('EXISTS', key) == 0 then return 0 end
for _, one in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local found = map(one)
    if found['name'] == name then group = found end
end
if not group then return 0 end
local stream = map(redis.call('XINFO', 'STREAM', key))
local added, length, read, last = stream['entries-added'], stream['length'], group['entries-read'], group['last-delivered-id']
if last == '0-0' and not read then
    -- it has read nothing, and entries that were trimmed before it was created were not meant for it
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
