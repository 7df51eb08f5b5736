-- Create a group that begins with now, or with the first entry, unless there is one, which goes on where it was.
-- The group knows how many entries were before it (from Redis 7.0 on), so that a loss is counted exactly.
-- KEYS: stream. ARGV: group, begin ('first', or how many ms ago now was)
-- Returns: nothing if there was a group; otherwise how many entries it does not read, of those that are in the stream,
--          and of those that are not in it any more (0 if it begins with now)
local key, name, begin = KEYS[1], ARGV[1], ARGV[2]
local function map(list)
    local found = {}
    for i = 1, #list, 2 do found[list[i]] = list[i + 1] end
    return found
end
if redis.call('EXISTS', key) == 0 then
    redis.call('XGROUP', 'CREATE', key, name, '0', 'MKSTREAM')
    return {0, 0}
end
for _, one in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    if map(one)['name'] == name then return {} end
end
local stream = map(redis.call('XINFO', 'STREAM', key))
local added, length = stream['entries-added'], stream['length']
if begin == 'first' then
    redis.call('XGROUP', 'CREATE', key, name, '0')
    return {0, added and added - length or 0}
end
local time = redis.call('TIME')
local since = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) - begin)
local new = redis.call('XRANGE', key, since, '+')
local id = '$'
if #new > 0 then
    -- just before the first new entry
    local ms, seq = string.match(new[1][1], '^(%d+)-(%d+)$')
    id = seq ~= '0' and string.format('%s-%.0f', ms, seq - 1) or string.format('%.0f-18446744073709551615', ms - 1)
end
if added then
    redis.call('XGROUP', 'CREATE', key, name, id, 'ENTRIESREAD', added - #new)
else
    redis.call('XGROUP', 'CREATE', key, name, id)
end
return {length - #new, 0}
