-- Shared by the scripts that change the ledger: what they count, and in which queue an object is. Put before them. The
-- counts are those of workers/lifecycle/ledger_counts.py. A script collects them, and `settle` writes them at its end,
-- so that a batch costs little more than one object.
-- An object of the ledger is in one queue, from when it is put on it to when it is put on the next one. The fields
-- `queue` and `since` of its entry say so; entries of older versions have none until they come to the next one.
-- The first KEYS: counts, accepted objects, what the keys of queues begin with
local COUNTS, ACCEPTED, QUEUES = KEYS[1], KEYS[2], KEYS[3]
local BOUNDS = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400}
local FIRST, PUT_OFF = 'embedding', 'waiting'

local counted, came, went = {}, {}, {}

local function tally(name, by) counted[name] = (counted[name] or 0) + (by or 1) end

local function observe(name, since, now)
    since = tonumber(since)
    if not since then return end
    local seconds, bound = math.max(0, now - since), 'inf'
    for _, one in ipairs(BOUNDS) do
        if seconds <= one then
            bound = one
            break
        end
    end
    tally(name .. ':' .. bound)
    tally(name .. ':ms', math.floor(seconds * 1000 + 0.5))
end

local function leave(oid, queue)
    if not queue then return end
    went[queue] = went[queue] or {}
    went[queue][oid] = true
    if came[queue] then came[queue][oid] = nil end
end

local function join(oid, queue, now)
    came[queue] = came[queue] or {}
    came[queue][oid] = now
end

-- the object has an entry from now on
local function accept(oid, now)
    tally('accepted')
    join(oid, FIRST, now)
    redis.call('ZADD', ACCEPTED, now, oid)
end

-- it has none any more; without `now` its time in the queue is not counted
local function forget(oid, queue, since, now)
    if queue and now then observe('stage:' .. queue, since, now) end
    leave(oid, queue)
    redis.call('ZREM', ACCEPTED, oid)
end

-- its entry was in `queue`, and is in `to` from now on
local function move(entry_key, oid, queue, since, to, now)
    if queue == to then return end
    if queue then observe('stage:' .. queue, since, now) end
    leave(oid, queue)
    join(oid, to, now)
    redis.call('HSET', entry_key, 'queue', to, 'since', now)
end

local function settle()
    for queue, oids in pairs(went) do
        local members = {}
        for oid in pairs(oids) do members[#members + 1] = oid end
        redis.call('ZREM', QUEUES .. queue, unpack(members))
    end
    for queue, oids in pairs(came) do
        local members = {}
        for oid, at in pairs(oids) do
            members[#members + 1] = at
            members[#members + 1] = oid
        end
        if #members > 0 then redis.call('ZADD', QUEUES .. queue, unpack(members)) end
    end
    -- two commands for all counts cost less than one for each
    local names, fields = {}, {}
    for name in pairs(counted) do names[#names + 1] = name end
    if #names == 0 then return end
    for n, before in ipairs(redis.call('HMGET', COUNTS, unpack(names))) do
        fields[2 * n - 1] = names[n]
        fields[2 * n] = string.format('%.0f', (before or 0) + counted[names[n]])
    end
    redis.call('HSET', COUNTS, unpack(fields))
end
