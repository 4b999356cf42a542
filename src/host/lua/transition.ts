import { MAX_TRANSITIONS } from '../host-record.js';

/** Moves one host along its life. */
export const TRANSITION = `
-- Input   KEYS[1] host   ARGV[1] from   ARGV[2] to   ARGV[3] the transition as a line
-- Output  1 moved, 0 the host is not in that state, or is not known
-- Atomic  so that of two who move a host from one state, one succeeds.
local known = redis.call('HMGET', KEYS[1], 'f', 's', 'x')
if not known[1] or (known[2] or 'candidate') ~= ARGV[1] then return 0 end
local lines = {}
for line in string.gmatch(known[3] or '', '[^\\n]+') do lines[#lines + 1] = line end
lines[#lines + 1] = ARGV[3]
local from = math.max(1, #lines - ${MAX_TRANSITIONS} + 2)
redis.call('HSET', KEYS[1], 's', ARGV[2], 'x', table.concat(lines, '\\n', from))
return 1
`;
