-- The records in one state, or of all states, newest first, from one position on. Each state has its own range of scores
-- in the list; for all states the ranges are merged. The position is found by halving the times, so that no page costs
-- more than the first one.
-- KEYS: the list of records. ARGV: the span between the scores of two states, number of states, start, limit, place of
--       the state ('' all)
-- Returns: the members
local records, span, states = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local start, limit, only = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local function bound(state, at) return string.format('%.17g', state * span + at) end

if only then
    local above = redis.call('ZCOUNT', records, bound(only + 1, 0), '+inf')
    local there = redis.call('ZCOUNT', records, bound(only, 0), '(' .. bound(only + 1, 0))
    if start >= there then return {} end
    return redis.call('ZREVRANGE', records, above + start, above + math.min(start + limit, there) - 1)
end

-- the number of records newer than a time
local function newer(at)
    local found = 0
    for state = 0, states - 1 do
        found = found + redis.call('ZCOUNT', records, '(' .. bound(state, at), '(' .. bound(state + 1, 0))
    end
    return found
end

-- at most `start` records are newer than `late`, and more than that are newer than `early`
local early, late, passed = -1, span - 1, 0
if start > 0 then
    while late - early > 1e-6 do
        local middle = (early + late) / 2
        if middle == early or middle == late then break end
        if newer(middle) > start then early = middle else late = middle end
    end
    passed = newer(late)
end
local wanted = start - passed + limit
local found = {}
for state = 0, states - 1 do
    local page = redis.call('ZREVRANGEBYSCORE', records, bound(state, late), bound(state, 0), 'WITHSCORES',
        'LIMIT', 0, wanted)
    for i = 1, #page, 2 do found[#found + 1] = {page[i + 1] - state * span, page[i]} end
end
table.sort(found, function(a, b) return a[1] > b[1] or (a[1] == b[1] and a[2] > b[2]) end)
local members = {}
for i = start - passed + 1, math.min(wanted, #found) do members[#members + 1] = found[i][2] end
return members
