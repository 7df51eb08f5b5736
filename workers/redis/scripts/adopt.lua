-- A record is also that of another ETag of the same version: a copy of the file, or the same file under a newer wildtag.
-- Nobody is told. Refused where the record has changed meanwhile.
-- KEYS: record. ARGV: the stored record, new etag
-- Returns: adopted | refused
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'refused' end
local head = head_of(ARGV[1])
local size = struct.unpack('>I2', ARGV[1])
head[ETAG] = ARGV[2]
redis.call('SET', KEYS[1], with_head(head, string.sub(ARGV[1], 3 + size)))
return 'adopted'
