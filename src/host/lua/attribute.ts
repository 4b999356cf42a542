/** Moves one row of pending evidence of a host to its workload. */
export const ATTRIBUTE = `
-- Input   KEYS[1] host   ARGV[1] pending field   ARGV[2] workload field
-- Output  1 moved, 0 no longer pending
-- Atomic  so that look-ups recorded meanwhile are neither lost nor counted twice.
local row = redis.call('HGET', KEYS[1], ARGV[1])
if not row then return 0 end
local first, last, lookups = string.match(row, '^(%d+) (%d+) (%d+)$')
first, last, lookups = tonumber(first), tonumber(last), tonumber(lookups)
local known = redis.call('HGET', KEYS[1], ARGV[2])
if known then
  local f, l, n = string.match(known, '^(%d+) (%d+) (%d+)$')
  first, last, lookups = math.min(first, tonumber(f)), math.max(last, tonumber(l)), lookups + tonumber(n)
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HINCRBY', KEYS[1], 'q', -1)
redis.call('HSET', KEYS[1], ARGV[2], string.format('%d %d %d', first, last, lookups))
return 1
`;
