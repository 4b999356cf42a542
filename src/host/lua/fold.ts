import { MAX_PENDING } from '../host-core.js';
import { MAX_CHILDREN } from '../host-record.js';

/** Forgets one child of a quarantined parent; what is known of its use goes to the parent's row. */
export const FOLD = `
-- Input   KEYS[1] child   KEYS[2] row of the parent   KEYS[3] index of hosts   KEYS[4] hosts of each registrable domain
--         ARGV[1] name of the child   ARGV[2] its registrable domain
-- Output  1 folded, 0 not known, or it has had an entry or a person's decision
-- Atomic  so that a look-up counts in the child or in the row, never in both or neither.
local child = redis.call('HMGET', KEYS[1], 'f', 'l', 'n', 's', 'k')
local state = child[4] or 'candidate'
if not child[1] or child[5] then return 0 end
if state ~= 'candidate' and state ~= 'eligible' and state ~= 'quarantined' and state ~= 'retired' then return 0 end
local row = redis.call('HMGET', KEYS[2], 'f', 'l', 'n', 'q', 'e')
if not row[1] then return 0 end
local pending = tonumber(row[4] or '0')
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local field, usage = fields[i], fields[i + 1]
  local first, last, lookups = string.match(usage, '^(%d+) (%d+) (%d+)$')
  if lookups and (string.sub(field, 1, 2) == 'w|' or string.sub(field, 1, 2) == 'p|') then
    local known = redis.call('HGET', KEYS[2], field)
    if known then
      local f, l, n = string.match(known, '^(%d+) (%d+) (%d+)$')
      redis.call('HSET', KEYS[2], field, string.format('%d %d %d', math.min(tonumber(first), tonumber(f)),
        math.max(tonumber(last), tonumber(l)), tonumber(lookups) + tonumber(n)))
    elseif string.sub(field, 1, 2) == 'w|' then
      redis.call('HSET', KEYS[2], field, usage)
    elseif pending < ${MAX_PENDING} then
      redis.call('HSET', KEYS[2], field, usage)
      pending = pending + 1
    end
  end
end
local names, seen = {}, {}
for name in string.gmatch((row[5] or '') .. ' ' .. ARGV[1], '%S+') do
  if not seen[name] then names[#names + 1] = name end
  seen[name] = true
end
table.sort(names)
redis.call('HSET', KEYS[2],
  'f', string.format('%d', math.min(tonumber(row[1]), tonumber(child[1]))),
  'l', string.format('%d', math.max(tonumber(row[2]), tonumber(child[2]))),
  'n', string.format('%d', tonumber(row[3]) + tonumber(child[3])),
  'q', string.format('%d', pending),
  'e', table.concat(names, ' ', 1, math.min(#names, ${MAX_CHILDREN})))
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[3], ARGV[1])
if redis.call('HINCRBY', KEYS[4], ARGV[2], -1) <= 0 then redis.call('HDEL', KEYS[4], ARGV[2]) end
return 1
`;
