import { MAX_PENDING } from '../host-core.js';
import { MAX_CHILDREN } from '../host-record.js';
import { NAME_FUNCTIONS, PIECE_FUNCTIONS, USAGE_FUNCTIONS } from './text.js';

/** Forgets one child of a quarantined parent; what is known of its use goes to the parent's row. */
export const FOLD = `
-- Input   KEYS[1] child   KEYS[2] its pending evidence   KEYS[3] row of the parent   KEYS[4] its pending evidence
--         KEYS[5] shelf of the child   KEYS[6] the shard
--         ARGV[1] name of the child   ARGV[2] its registrable domain
-- Output  1 folded, 0 not known, or it has had an entry or a person's decision
-- Atomic  so that a look-up counts in the child or in the row, never in both or neither.
${PIECE_FUNCTIONS}${USAGE_FUNCTIONS}${NAME_FUNCTIONS}
local child = redis.call('HMGET', KEYS[1], 'h', 's', 'k')
if not child[1] or child[3] or not string.find('ceqr', child[2] or 'c', 1, true) then return 0 end
local row = read(KEYS[3], OBSERVED)
if not row then return 0 end
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if string.sub(fields[i], 2, 2) == '|' then
    local known = redis.call('HGET', KEYS[3], fields[i])
    redis.call('HSET', KEYS[3], fields[i], known and usage(known, fields[i + 1]) or fields[i + 1])
  end
end
local waiting = tonumber(redis.call('HGET', KEYS[3], 'q') or '0')
local rows = redis.call('HGETALL', KEYS[2])
for i = 1, #rows, 2 do
  local known = redis.call('HGET', KEYS[4], rows[i])
  if known then redis.call('HSET', KEYS[4], rows[i], usage(known, rows[i + 1]))
  elseif waiting < ${MAX_PENDING} then
    redis.call('HSET', KEYS[4], rows[i], rows[i + 1])
    waiting = waiting + 1
  end
end
local set, gone = {}, {}
if waiting > 0 then set = { 'q', waiting } end
local use, rest = string.match(row, '^(%w+ %w+ %w+)(.*)$')
split(OBSERVED, row, usage(use, read(KEYS[1], OBSERVED)) .. rest, set, gone)
local children = read(KEYS[3], CHILDREN) or ''
split(CHILDREN, children, addName(children, ARGV[1], ${MAX_CHILDREN}), set, gone)
write(KEYS[3], set, gone)
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HDEL', KEYS[5], ARGV[1])
if redis.call('HINCRBY', KEYS[5], '.' .. ARGV[2], -1) <= 0 then redis.call('HDEL', KEYS[5], '.' .. ARGV[2]) end
redis.call('HINCRBY', KEYS[6], 'hosts', -1)
return 1
`;
