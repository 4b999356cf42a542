import { MAX_CHILDREN } from '../host-record.js';
import { NAME_FUNCTIONS } from './text.js';

/** Takes one host over from an older layout. */
export const MOVE = `
-- Input   KEYS[1] old hash   KEYS[2] old index   KEYS[3] hash   KEYS[4] pending evidence   KEYS[5] shelf   KEYS[6] the shard
--         ARGV[1] hostname   ARGV[2] its registrable domain, or empty when it is not counted
--         ARGV[3] what the caller read of the old hash, ARGV[4] of the new ones (as lua/read.ts)
--         ARGV[5] how many of what follows are fields and values of the hash; the rest are of pending evidence
-- Output  1 moved, 0 the one or the other has changed since
-- Atomic  so that a host is in one of the layouts, whenever the caller is killed and however many take it over.
local function text(key) return table.concat(redis.call('HGETALL', key), '\\0') end
if text(KEYS[1]) ~= ARGV[3] then return 0 end
local now, pending = text(KEYS[3]), text(KEYS[4])
if pending ~= '' then now = now .. '\\0' .. pending end
if now ~= ARGV[4] then return 0 end
if #ARGV > 5 then
  redis.call('DEL', KEYS[3], KEYS[4])
  for i = 6, #ARGV, 2 do
    redis.call('HSET', i < 6 + tonumber(ARGV[5]) and KEYS[3] or KEYS[4], ARGV[i], ARGV[i + 1])
  end
  if redis.call('HSETNX', KEYS[5], ARGV[1], '') == 1 then
    redis.call('HINCRBY', KEYS[6], 'hosts', 1)
    if ARGV[2] ~= '' then redis.call('HINCRBY', KEYS[5], '.' .. ARGV[2], 1) end
  end
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
`;

/** Takes over what an older layout counted of hosts that were not stored. */
export const MOVE_COUNTS = `
-- Input   KEYS[1] old counts   KEYS[2] the shard
-- Output  1 moved, 0 there are none
-- Atomic  so that they count once.
${NAME_FUNCTIONS}
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local old = redis.call('HMGET', KEYS[1], '|lookups', '|examples')
if old[1] then
  redis.call('HINCRBY', KEYS[2], 'lookups', old[1])
  redis.call('HSET', KEYS[2], 'examples', addName(redis.call('HGET', KEYS[2], 'examples'), old[2] or '', ${MAX_CHILDREN}))
end
redis.call('DEL', KEYS[1])
return 1
`;
