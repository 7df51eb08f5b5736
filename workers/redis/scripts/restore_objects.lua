-- Store records, and list them wherever they are found. May be repeated: a label counts only if it is new in its list.
-- KEYS: records, objects, tags, last number, then the record of each object
-- ARGV: prefix, then of each object: oid, the stored record, its score, rows (see tag_index)
local prefix, records, objects, tags, last = ARGV[1], unpack(KEYS, 1, 4)
for n = 5, #KEYS do
    local oid, value, score, rows = unpack(ARGV, 2 + 4 * (n - 5), 5 + 4 * (n - 5))
    local number = head_of(value)[NUMBER]
    local member, page, field = member_of(number), place_of(prefix, number)
    redis.call('SET', KEYS[n], value)
    redis.call('HSET', page, field, oid)
    redis.call('ZADD', records, score, member)
    redis.call('ZADD', objects, 0, oid)
    if number > tonumber(redis.call('GET', last) or 0) then
        redis.call('SET', last, string.format('%.0f', number))
    end
    for _, row in ipairs(cmsgpack.unpack(rows)) do
        if redis.call('ZADD', prefix .. 'tag:' .. row[1], row[4], member) == 1 then
            count(prefix, tags, row, 1)
        end
    end
end
return #KEYS - 4
