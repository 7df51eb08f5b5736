-- Rename keys. What is not there under its old name is left out; what is there under both names stays as it is.
-- ARGV: replace (1: a key of the new name is overwritten), old, new, old, new, …
-- Returns: how many were renamed, and the new names that are taken
local renamed, taken = 0, {}
for i = 2, #ARGV, 2 do
    if redis.call('EXISTS', ARGV[i]) == 1 then
        if ARGV[1] == '1' or redis.call('EXISTS', ARGV[i + 1]) == 0 then
            redis.call('RENAME', ARGV[i], ARGV[i + 1])
            renamed = renamed + 1
        else
            taken[#taken + 1] = ARGV[i + 1]
        end
    end
end
return {renamed, taken}
