import { MAX_CHILDREN } from '../host-record.js';
import { NAME_FUNCTIONS } from './text.js';

/** Takes one host over from an older layout. */
export const MOVE = `
-- Input   KEYS[1] old hash   KEYS[2] old pending evidence   KEYS[3] old index
--         KEYS[4] hosts   KEYS[5] pending evidence   KEYS[6] workloads beside the text   KEYS[7] hosts of domains
--         ARGV[1] hostname   ARGV[2] its registrable domain, or empty when it is not counted
--         ARGV[3] what the caller read of the old hashes, ARGV[4] of the new ones (as lua/read.ts)
--         ARGV[5] command that takes a name from the index   ARGV[6] the text; empty: there is no such host
--         ARGV[7] how many of what follows are fields and values of pending evidence; the rest are of workloads
-- Output  1 moved, 0 the one or the other has changed since
-- Atomic  so that a host is in one of the layouts, whenever the caller is killed and however many take it over.
local function read(words, ...)
  for _, key in ipairs({ ... }) do
    for _, word in ipairs(redis.call('HGETALL', key)) do words[#words + 1] = word end
  end
  return table.concat(words, '\\0')
end
if read({}, KEYS[1], KEYS[2]) ~= ARGV[3] then return 0 end
local known = redis.call('HGET', KEYS[4], ARGV[1])
if read({ known or '' }, KEYS[5], KEYS[6]) ~= ARGV[4] then return 0 end
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[4], ARGV[1], ARGV[6])
  redis.call('DEL', KEYS[5], KEYS[6])
  for i = 8, #ARGV, 2 do
    redis.call('HSET', i < 8 + tonumber(ARGV[7]) and KEYS[5] or KEYS[6], ARGV[i], ARGV[i + 1])
  end
  if not known and ARGV[2] ~= '' then redis.call('HINCRBY', KEYS[7], ARGV[2], 1) end
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call(ARGV[5], KEYS[3], ARGV[1])
return 1
`;

/** Ends an index of an older layout that has no names any more, but counts of domains. */
export const END_INDEX = `
-- Input   KEYS[1] old index, a hash
-- Output  1 ended, 0 it has names
-- Atomic  so that no name is lost that an old program adds meanwhile.
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 1) ~= '.' then return 0 end
end
redis.call('DEL', KEYS[1])
return 1
`;

/** Takes over what an older layout counted of hosts that were not stored. */
export const MOVE_COUNTS = `
-- Input   KEYS[1] old counts   KEYS[2] counts   ARGV[1] old field of look-ups   ARGV[2] old field of examples
-- Output  1 moved, 0 there are none
-- Atomic  so that they count once.
${NAME_FUNCTIONS}
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local old = redis.call('HMGET', KEYS[1], ARGV[1], ARGV[2])
if old[1] then
  redis.call('HINCRBY', KEYS[2], 'lookups', old[1])
  redis.call('HSET', KEYS[2], 'examples', addName(redis.call('HGET', KEYS[2], 'examples'), old[2] or '', ${MAX_CHILDREN}))
end
redis.call('DEL', KEYS[1])
return 1
`;
