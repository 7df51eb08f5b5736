-- Note that a batch is finished, and report it, atomically and once.
-- KEYS: unfinished batches, stream of finished ones. ARGV: id, body, length of the stream
-- Returns: 1, or 0 if it was reported before
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'batch', ARGV[1], 'body', ARGV[2])
return 1
