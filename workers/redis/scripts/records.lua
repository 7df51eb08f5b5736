-- Shared by the scripts that read and write records. A record is a string: two bytes with the length of its head, the
-- head (msgpack: etag, sequence, revision, state, segment, requested, number, time), and a body that is not read here
-- (workers/lifecycle/stored_record.py).
local ETAG, SEQUENCE, REVISION, STATE, SEGMENT, REQUESTED, NUMBER, TIME = 1, 2, 3, 4, 5, 6, 7, 8
-- the list of records has a range of scores for each state: its place times this, plus a time
local SPAN = 8589934592

local function head_of(value)
    if #value < 2 then return nil end
    local size = struct.unpack('>I2', value)
    if #value < 2 + size then return nil end
    local read, head = pcall(cmsgpack.unpack, string.sub(value, 3, 2 + size))
    return read and type(head) == 'table' and head or nil
end

-- the head of a stored record; nil without one
local function head_at(key)
    return head_of(redis.call('GETRANGE', key, 0, 511)) or head_of(redis.call('GET', key) or '')
end

local function with_head(head, body)
    local packed = cmsgpack.pack(head)
    return struct.pack('>I2', #packed) .. packed .. body
end

-- the member of an object in the lists, 5 bytes
local function member_of(number) return struct.pack('>I5', number) end

-- where a number says which object it is of: the key, which has the prefix of all others, and the field
local function place_of(prefix, number)
    return prefix .. 'numbered:' .. string.format('%.0f', math.floor(number / 64)), number % 64
end
