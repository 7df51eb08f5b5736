-- Put what another encoder has prepared under the prefix NEXT in the place of the records and the index by tag.
-- Records that have not been prepared stay. Refused where anything has happened since they were compared.
-- KEYS: ledger, objects, tags, statements revision, encoder, encoder change, drain, follows, images position, images
--       standing, images verify, feed, feed:replay, searches, then of NEXT: ledger, tags
-- ARGV: prefix, NEXT, encoder (JSON), the end of the feed, the statements revision and the change (JSON) as they were,
--       encoder (JSON) as it was ('' none), then of what is added to the feed afterwards: space, time of the switch,
--       records each second ('' nothing is added)
-- Returns: {switched, records} | {busy | changed, 0}
local ledger, objects, tags, said, encoder, change, drain, follows, position, standing, verify, feed, replay, searches,
    next_ledger, next_tags = unpack(KEYS)
local prefix, next = ARGV[1], ARGV[2]
local last = redis.call('XREVRANGE', feed, '+', '-', 'COUNT', 1)[1]
if redis.call('EXISTS', drain) == 0 or redis.call('ZCARD', ledger) > 0 or redis.call('ZCARD', next_ledger) > 0 then
    return {'busy', 0}
end
if (last and last[1] or '0-0') ~= ARGV[4] or (redis.call('GET', said) or '') ~= ARGV[5]
    or redis.call('GET', change) ~= ARGV[6] or (redis.call('GET', encoder) or '') ~= ARGV[7] then
    return {'changed', 0}
end

-- the index by tag is replaced as a whole: numbers are the same in both
for _, form in ipairs(redis.call('ZRANGE', tags, 0, -1)) do
    redis.call('UNLINK', prefix .. 'tag:' .. form, prefix .. 'tag-spellings:' .. form)
end
redis.call('UNLINK', tags)
for _, form in ipairs(redis.call('ZRANGE', next_tags, 0, -1)) do
    for _, family in ipairs({'tag:', 'tag-spellings:'}) do
        if redis.call('EXISTS', next .. family .. form) == 1 then
            redis.call('RENAME', next .. family .. form, prefix .. family .. form)
        end
    end
end
if redis.call('EXISTS', next_tags) == 1 then redis.call('RENAME', next_tags, tags) end

local moved, after = 0, '-'
while true do
    local page = redis.call('ZRANGEBYLEX', objects, after, '+', 'LIMIT', 0, 1000)
    for _, oid in ipairs(page) do
        local prepared = next .. 'record:' .. oid
        if redis.call('EXISTS', prepared) == 1 then
            redis.call('RENAME', prepared, prefix .. 'record:' .. oid)
            moved = moved + 1
        end
    end
    if #page < 1000 then break end
    after = '(' .. page[#page]
end

-- jobs of captions carry vectors of the space before
for _, job in ipairs(redis.call('ZRANGE', follows, 0, -1)) do redis.call('DEL', prefix .. 'follow:' .. job) end
redis.call('DEL', follows, standing, change)
-- further pages of a search would be ranked by the encoder before
for _, kept in ipairs(redis.call('LRANGE', searches, 0, -1)) do
    redis.call('UNLINK', prefix .. 'search:' .. string.match(kept, '^[^:]*'))
end
redis.call('UNLINK', searches)
redis.call('DEL', replay)
if ARGV[10] ~= '' then
    redis.call('HSET', replay, 'after', '', 'space', ARGV[8], 'until', ARGV[9], 'rate', ARGV[10], 'added', 0)
end
redis.call('SET', position, ARGV[4])
redis.call('SET', verify, '1')
redis.call('SET', encoder, ARGV[3])
return {'switched', moved}
