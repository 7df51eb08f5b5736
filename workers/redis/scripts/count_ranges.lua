-- Count the members of a sorted set in many ranges of scores, and add the counts of those that belong together.
-- KEYS: the sorted set. ARGV: how many ranges belong together, then the lower and the upper bound of each
-- Returns: the sums
local together, sums = tonumber(ARGV[1]), {}
for i = 2, #ARGV, 2 do
    local place = math.floor((i - 2) / 2 / together) + 1
    sums[place] = (sums[place] or 0) + redis.call('ZCOUNT', KEYS[1], ARGV[i], ARGV[i + 1])
end
return sums
