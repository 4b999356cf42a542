import { MAX_TRANSITIONS } from '../host-record.js';
import { PIECE_FUNCTIONS } from './text.js';

/** Moves one host along its life. */
export const TRANSITION = `
-- Input   KEYS[1] host   ARGV[1] letter of the state from which   ARGV[2] to which   ARGV[3] the transition as a line
-- Output  1 moved, 0 the host is not in that state, or is not known
-- Atomic  so that of two who move a host from one state, one succeeds.
${PIECE_FUNCTIONS}
local known = redis.call('HMGET', KEYS[1], 'h', 's', unpack(STEPS))
if not known[1] or (known[2] or 'c') ~= ARGV[1] then return 0 end
local before, lines = join(known, 3) or '', {}
for line in string.gmatch(before, '[^\\n]+') do lines[#lines + 1] = line end
lines[#lines + 1] = ARGV[3]
local set, gone = { 's', ARGV[2] }, {}
split(STEPS, before, table.concat(lines, '\\n', math.max(1, #lines - ${MAX_TRANSITIONS} + 2)), set, gone)
write(KEYS[1], set, gone)
return 1
`;
