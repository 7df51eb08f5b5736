-- Store what one step of a job has found, if the job is where the step began: a repeated step changes nothing.
-- KEYS: the job, the jobs that are not done, the backlog, the number of objects in the backlog
-- ARGV: the job's id, where the step began, where it ended, images, counts, done (0 or 1), when the job goes on at the
-- latest, number of objects, then pages for the backlog
-- Returns: 1 if it was stored
if redis.call('HGET', KEYS[1], 'after') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'after', ARGV[3], 'images', ARGV[4], 'counts', ARGV[5], 'done', ARGV[6])
redis.call('HDEL', KEYS[1], 'fault')
for i = 9, #ARGV do redis.call('RPUSH', KEYS[3], ARGV[i]) end
if #ARGV > 8 then redis.call('INCRBY', KEYS[4], ARGV[8]) end
if ARGV[6] == '1' then
    redis.call('ZREM', KEYS[2], ARGV[1])
elseif redis.call('ZSCORE', KEYS[2], ARGV[1]) then
    redis.call('ZADD', KEYS[2], ARGV[7], ARGV[1])
end
return 1
