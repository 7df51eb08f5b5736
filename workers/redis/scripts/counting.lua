-- Shared by the scripts that change the ledger: what they count, and in which queue an object is. Put before them. The
-- counts are those of workers/lifecycle/ledger_counts.py. A script collects all this, and `settle` writes it at its end
-- with few commands, so that a batch costs little more than one object.
-- An object of the ledger is in one queue, from when it is put on it to when it is put on the next one. The fields
-- `queue` and `since` of its entry say so; without them it is in the first one, and has been since it was accepted.
-- The first KEYS: counts, accepted objects, what the keys of queues begin with
local COUNTS, ACCEPTED, QUEUES = KEYS[1], KEYS[2], KEYS[3]
local BOUNDS = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400}
local NAMES = {'0.1', '0.25', '0.5', '1', '2.5', '5', '10', '30', '60', '120', '300', '600', '1800', '3600', '21600',
    '86400', 'inf'}
local FIRST, PUT_OFF = 'embedding', 'waiting'
local KNOWN = 'retrieval'  -- the first one of objects whose vector is known: the dispatcher puts them on it

local counted, came, went = {}, {}, {}

local function tally(name, by) counted[name] = (counted[name] or 0) + (by or 1) end

local function observe(name, since, now)
    local seconds, n = now - since, 1
    if seconds < 0 then seconds = 0 end
    while BOUNDS[n] and seconds > BOUNDS[n] do n = n + 1 end
    tally(name .. NAMES[n])
    tally(name .. 'ms', math.floor(seconds * 1000 + 0.5))
end

-- the last of these about an object in a set is what is written
local function leave(key, oid)
    if came[key] then came[key][oid] = nil end
    if not went[key] then went[key] = {} end
    went[key][oid] = true
end
local function join(key, oid, now)
    if not came[key] then came[key] = {} end
    came[key][oid] = now
end

-- Whether a result may be on its way that was begun before now. An object that waits after a fault is begun anew, unless
-- its message is held at a later stage.
local function begun(stage, retrieved) return stage ~= 'queued' and (stage ~= PUT_OFF or retrieved) end

-- the object has an entry from now on, in `queue`
local function accept(entry_key, oid, now, queue)
    tally('accepted')
    join(QUEUES .. queue, oid, now)
    if queue ~= FIRST then redis.call('HSET', entry_key, 'queue', queue, 'since', now) end
    join(ACCEPTED, oid, now)
end

-- it has none any more; without `now` its time in the queue is not counted
local function forget(oid, queue, since, now)
    queue = queue or FIRST
    if now then observe('stage:' .. queue .. ':', since, now) end
    leave(QUEUES .. queue, oid)
    leave(ACCEPTED, oid)
end

-- its entry was in `queue`, and is in `to` from now on
local function move(entry_key, oid, queue, since, to, now)
    if queue == to then return end
    observe('stage:' .. queue .. ':', since, now)
    leave(QUEUES .. queue, oid)
    join(QUEUES .. to, oid, now)
    redis.call('HSET', entry_key, 'queue', to, 'since', now)
end

local function settle()
    for key, oids in pairs(went) do
        local members = {}
        for oid in pairs(oids) do members[#members + 1] = oid end
        redis.call('ZREM', key, unpack(members))
    end
    for key, oids in pairs(came) do
        local members = {}
        for oid, at in pairs(oids) do
            members[#members + 1] = at
            members[#members + 1] = oid
        end
        if #members > 0 then redis.call('ZADD', key, unpack(members)) end
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
