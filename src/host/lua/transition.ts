import { MAX_TRANSITIONS } from '../host-record.js';
import { TEXT_FUNCTIONS } from './text.js';

/** Moves one host along its life. */
export const TRANSITION = `
-- Input   KEYS[1] hosts   ARGV[1] name of the host   ARGV[2] letter of the state from which   ARGV[3] the transition's line
-- Output  1 moved, 0 the host is not in that state, or is not known
-- Atomic  so that of two who move a host from one state, one succeeds.
${TEXT_FUNCTIONS}
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text then return 0 end
local observed, children, rows, story = take(text)
if stateOf(story) ~= ARGV[2] then return 0 end
local _, steps = string.gsub(story, '\\nt', '\\nt')
if steps > ${MAX_TRANSITIONS - 2} then story = string.gsub(story, '\\nt[^\\n]*', '', 1) end
redis.call('HSET', KEYS[1], ARGV[1], observed .. '\\n' .. children .. '\\n' .. rows .. story .. '\\n' .. ARGV[3])
return 1
`;
