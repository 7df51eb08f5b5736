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

-- Times count in ticks of 2^-17 s, which the scores of all states have exactly.
local ticks = 131072

-- the number of records newer than a tick
local function newer(tick)
    local found = 0
    for state = 0, states - 1 do
        found = found + redis.call('ZCOUNT', records, bound(state, (tick + 1) / ticks), '(' .. bound(state + 1, 0))
    end
    return found
end

-- the earliest tick that at most `start` records are newer than
local early, late, passed = -1, span * ticks - 1, 0
if start > 0 then
    while late > early do
        local middle = math.floor((early + late) / 2)
        if newer(middle) > start then early = middle + 1 else late = middle end
    end
    passed = newer(late)
end
local wanted = start - passed + limit
local found = {}
for state = 0, states - 1 do
    local page = redis.call('ZREVRANGEBYSCORE', records, '(' .. bound(state, (late + 1) / ticks), bound(state, 0),
        'WITHSCORES', 'LIMIT', 0, wanted)
    for i = 1, #page, 2 do
        found[#found + 1] = {page[i + 1] - state * span, struct.unpack('>I5', page[i]), page[i]}
    end
end
-- by numbers: the order of strings depends on the locale of the server
table.sort(found, function(a, b) return a[1] > b[1] or (a[1] == b[1] and a[2] > b[2]) end)
local members = {}
for i = start - passed + 1, math.min(wanted, #found) do members[#members + 1] = found[i][3] end
return members
