import { USAGE_FUNCTIONS } from './text.js';

/** Moves one row of pending evidence of a host to its workload, or drops it. */
export const ATTRIBUTE = `
-- Input   KEYS[1] host   KEYS[2] its pending evidence   ARGV[1] pending field   ARGV[2] workload field; empty: drop it
-- Output  1 done, 0 no longer pending
-- Atomic  so that look-ups recorded meanwhile are neither lost nor counted twice.
${USAGE_FUNCTIONS}
local row = redis.call('HGET', KEYS[2], ARGV[1])
if not row then return 0 end
if ARGV[2] ~= '' then
  local known = redis.call('HGET', KEYS[1], ARGV[2])
  redis.call('HSET', KEYS[1], ARGV[2], known and usage(known, row) or row)
end
redis.call('HDEL', KEYS[2], ARGV[1])
if redis.call('HINCRBY', KEYS[1], 'q', -1) <= 0 then redis.call('HDEL', KEYS[1], 'q') end
return 1
`;
