import { TEXT_FUNCTIONS } from './text.js';

/** Sets fields of one hash, if they still are what the caller read. */
export const COMPARE_AND_SET = `
-- Input   KEYS[1] hash   ARGV 3 a field: name, value expected, value to set; empty is absent
-- Output  1 set, 0 a field is not as expected
-- Atomic  so that nobody's change between the caller's read and this write is lost.
for i = 1, #ARGV, 3 do
  if (redis.call('HGET', KEYS[1], ARGV[i]) or '') ~= ARGV[i + 1] then return 0 end
end
for i = 1, #ARGV, 3 do
  if ARGV[i + 2] == '' then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
end
return 1
`;

/** Changes what is believed of a host, if it still is what the caller read. */
export const EDIT_STORY = `
-- Input   KEYS[1] hosts   ARGV[1] name of the host   ARGV[2] story expected   ARGV[3] story to set
-- Output  1 set, 0 it is not as expected, or there is no such host
-- Atomic  so that nobody's change between the caller's read and this write is lost, and no look-up.
${TEXT_FUNCTIONS}
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text then return 0 end
local observed, children, rows, story = take(text)
if story ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], observed .. '\\n' .. children .. '\\n' .. rows .. ARGV[3])
return 1
`;

/** Adds a host that nobody knows. */
export const ADD_HOST = `
-- Input   KEYS[1] hosts   ARGV[1] name of the host   ARGV[2] its text
-- Output  1 added, 0 it is known
-- Atomic  as a single command is.
return redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
`;
