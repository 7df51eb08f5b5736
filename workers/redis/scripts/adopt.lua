-- A record is also that of another ETag of the same version: a copy of the file, or the same file under a newer wildtag.
-- Nobody is told. Refused where the record has changed meanwhile.
-- ARGV: prefix, oid, body, new etag, new body
-- Returns: adopted | refused
local record_key = ARGV[1] .. 'record:' .. ARGV[2]
if redis.call('HGET', record_key, 'body') ~= ARGV[3] then return 'refused' end
redis.call('HSET', record_key, 'etag', ARGV[4], 'body', ARGV[5])
return 'adopted'
