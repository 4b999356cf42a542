import { ROW_FUNCTIONS, TEXT_FUNCTIONS, USAGE_FUNCTIONS } from './text.js';

/** Moves one row of pending evidence of a host to its workload, or drops it. */
export const ATTRIBUTE = `
-- Input   KEYS[1] hosts   KEYS[2] pending evidence of the host   KEYS[3] its workloads beside the text
--         ARGV[1] its name   ARGV[2] pending field   ARGV[3] workload field; empty: drop it
-- Output  1 done, 0 no longer pending
-- Atomic  so that look-ups recorded meanwhile are neither lost nor counted twice.
${TEXT_FUNCTIONS}${USAGE_FUNCTIONS}${ROW_FUNCTIONS}
local row = redis.call('HGET', KEYS[2], ARGV[2])
local text = row and redis.call('HGET', KEYS[1], ARGV[1])
if not text then return 0 end
if ARGV[3] ~= '' then
  local observed, children, rows, story = take(text)
  rows = addRow(rows, KEYS[3], ARGV[3], row)
  redis.call('HSET', KEYS[1], ARGV[1], observed .. '\\n' .. children .. '\\n' .. rows .. story)
end
redis.call('HDEL', KEYS[2], ARGV[2])
return 1
`;
