/** Forgets one host that nobody has looked up since the caller looked. */
export const FORGET = `
-- Input   KEYS[1] host   KEYS[2] its pending evidence   KEYS[3] its shelf   KEYS[4] the shard
--         ARGV[1] its name   ARGV[2] its registrable domain   ARGV[3] last look-up that the caller knows of
-- Output  1 forgotten, 0 not known, looked up since, or a person has decided on it
-- Atomic  so that a look-up that is recorded meanwhile is not lost.
local known = redis.call('HMGET', KEYS[1], 'h', 'k')
if not known[1] or known[2] then return 0 end
local first, span = string.match(known[1], '^(%w+) (%w+)')
if tonumber(first, 36) + tonumber(span, 36) ~= tonumber(ARGV[3]) then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('HINCRBY', KEYS[4], 'hosts', -1)
if string.sub(ARGV[1], 1, 2) == '*.' then return 1 end
if redis.call('HINCRBY', KEYS[3], '.' .. ARGV[2], -1) <= 0 then redis.call('HDEL', KEYS[3], '.' .. ARGV[2]) end
return 1
`;
