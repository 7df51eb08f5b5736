-- Rename keys. Keys without the old name are skipped; if both names exist, both keys stay unchanged.
-- ARGV: replace (1: overwrite an existing key of the new name), old, new, old, new, …
-- Returns: the number of renamed keys, and the new names that exist already
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
