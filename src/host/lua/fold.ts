import { MAX_PENDING } from '../host-core.js';
import { MAX_CHILDREN } from '../host-record.js';
import { NAME_FUNCTIONS, ROW_FUNCTIONS, TEXT_FUNCTIONS, USAGE_FUNCTIONS } from './text.js';

/** Forgets one child of a quarantined parent; what is known of its use goes to the parent's row. */
export const FOLD = `
-- Input   KEYS[1] hosts   KEYS[2], KEYS[3] pending evidence of the child and its workloads beside the text
--         KEYS[4], KEYS[5] the same of the parent's row   KEYS[6] hosts of domains
--         ARGV[1] name of the child   ARGV[2] of the row   ARGV[3] registrable domain of the child
-- Output  1 folded, 0 not known, or it has had an entry or a person's decision
-- Atomic  so that a look-up counts in the child or in the row, never in both or neither.
${TEXT_FUNCTIONS}${USAGE_FUNCTIONS}${ROW_FUNCTIONS}${NAME_FUNCTIONS}
local texts = redis.call('HMGET', KEYS[1], ARGV[1], ARGV[2])
if not texts[1] or not texts[2] then return 0 end
local used, _, more, life = take(texts[1])
if string.find(life, '\\nk', 1, true) or not string.find('ceqr', stateOf(life), 1, true) then return 0 end
local observed, children, rows, story = take(texts[2])
for field, row in string.gmatch(more, '(%S+) (%w+ %w+ %w+)') do rows = addRow(rows, KEYS[5], field, row) end
local others = redis.call('HGETALL', KEYS[3])
for i = 1, #others, 2 do rows = addRow(rows, KEYS[5], others[i], others[i + 1]) end
local waiting = redis.call('HLEN', KEYS[4])
local pending = redis.call('HGETALL', KEYS[2])
for i = 1, #pending, 2 do
  local known = redis.call('HGET', KEYS[4], pending[i])
  if known then redis.call('HSET', KEYS[4], pending[i], usage(known, pending[i + 1]))
  elseif waiting < ${MAX_PENDING} then
    redis.call('HSET', KEYS[4], pending[i], pending[i + 1])
    waiting = waiting + 1
  end
end
local use, rest = string.match(observed, '^(%w+ %w+ %w+)(.*)$')
redis.call('HSET', KEYS[1], ARGV[2], usage(use, used) .. rest .. '\\n' ..
  addName(children, ARGV[1], ${MAX_CHILDREN}) .. '\\n' .. rows .. story)
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2], KEYS[3])
if redis.call('HINCRBY', KEYS[6], ARGV[3], -1) <= 0 then redis.call('HDEL', KEYS[6], ARGV[3]) end
return 1
`;
