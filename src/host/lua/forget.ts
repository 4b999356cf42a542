import { TEXT_FUNCTIONS } from './text.js';

/** Forgets one host that nobody has looked up since the caller looked. */
export const FORGET = `
-- Input   KEYS[1] hosts   KEYS[2] pending evidence of the host   KEYS[3] its workloads beside the text
--         KEYS[4] hosts of domains
--         ARGV[1] its name   ARGV[2] its registrable domain   ARGV[3] last look-up that the caller knows of
-- Output  1 forgotten, 0 not known, looked up since, or a person has decided on it
-- Atomic  so that a look-up that is recorded meanwhile is not lost.
${TEXT_FUNCTIONS}
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text then return 0 end
local observed, _, _, story = take(text)
if string.find(story, '\\nk', 1, true) then return 0 end
local first, span = string.match(observed, '^(%w+) (%w+)')
if tonumber(first, 36) + tonumber(span, 36) ~= tonumber(ARGV[3]) then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2], KEYS[3])
if string.sub(ARGV[1], 1, 2) == '*.' then return 1 end
if redis.call('HINCRBY', KEYS[4], ARGV[2], -1) <= 0 then redis.call('HDEL', KEYS[4], ARGV[2]) end
return 1
`;
