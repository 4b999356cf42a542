import { MAX_ADDRESSES } from '../../observation/observation.js';
import { BATCH_WINDOW } from '../batch-window.js';
import { MAX_PENDING } from '../host-core.js';
import { MAX_DAYS } from '../host-record.js';

/**
 * Merges one batch's observations of one shard.
 *
 * A host is a hash. Times are Unix milliseconds; lists are words separated by a blank.
 * ```
 *   f, l, n   first seen, last seen, lookups          s   state, absent: candidate
 *   t         "<min ttl> <max ttl>"                   x   transitions, one JSON text a line, oldest first
 *   a         "<address> <last seen> …"               q   number of pending rows
 *   c         "<last seen> <cname> …"                 p|…, w|…   "<first> <last> <lookups>" (see evidence-fields.ts)
 *   d         "<day since 1970>:<lookups> …", newest first       i   "<state> <reason>" that it began with, if not a look-up
 *   g         "<flag>:<since>:<until or empty> …"     o, k       ports, decisions: one JSON text a line
 *   e         children of a parent that are not stored singly
 * ```
 */
export const RECORD = `
-- Input   KEYS[1] recorded sequences of the source   KEYS[2] index of hosts   KEYS[3..] the host of each observation
--         ARGV[1] sequence   ARGV[2] expiry of KEYS[1] in seconds
--         then 11 a host: hostname, first, last, lookups, min ttl, max ttl, addresses, cnames, field in slots, field in days,
--         day since 1970
-- Output  1 recorded, 0 recorded before
-- Atomic  so that a batch that is sent twice, or by two connections, counts once, and merges see no half of another.
local sequence = tonumber(ARGV[1])
local recorded = redis.call('GET', KEYS[1]) or ''
local kept, highest = {}, sequence
for word in string.gmatch(recorded, '%d+') do
  local n = tonumber(word)
  if n == sequence then return 0 end
  if n > highest then highest = n end
  kept[#kept + 1] = n
end
if sequence <= highest - ${BATCH_WINDOW} then return 0 end
kept[#kept + 1] = sequence
table.sort(kept, function(a, b) return a > b end)
local words = {}
for i = 1, #kept do
  if kept[i] > highest - ${BATCH_WINDOW} then words[#words + 1] = string.format('%d', kept[i]) end
end
redis.call('SET', KEYS[1], table.concat(words, ' '), 'EX', ARGV[2])

local function addresses(known, more, last)
  local seen, list = {}, {}
  for address, at in string.gmatch(known or '', '(%S+) (%d+)') do
    seen[address] = tonumber(at)
    list[#list + 1] = address
  end
  for address in string.gmatch(more, '%S+') do
    if not seen[address] then list[#list + 1] = address end
    if not seen[address] or seen[address] < last then seen[address] = last end
  end
  table.sort(list, function(a, b)
    if seen[a] ~= seen[b] then return seen[a] > seen[b] end
    return a < b
  end)
  local out = {}
  for i = 1, math.min(#list, ${MAX_ADDRESSES}) do out[i] = list[i] .. ' ' .. string.format('%d', seen[list[i]]) end
  return table.concat(out, ' ')
end

local function chain(known, more, last)
  if known then
    local at, names = string.match(known, '^(%d+) ?(.*)$')
    at = tonumber(at)
    if at > last or (at == last and names <= more) then return known end
  end
  return string.format('%d', last) .. ' ' .. more
end

local function usage(known, first, last, lookups)
  if known then
    local f, l, n = string.match(known, '^(%d+) (%d+) (%d+)$')
    first, last, lookups = math.min(first, tonumber(f)), math.max(last, tonumber(l)), lookups + tonumber(n)
  end
  return string.format('%d %d %d', first, last, lookups)
end

local function days(known, day, lookups)
  if not known then return day .. ':' .. string.format('%d', lookups) end
  local newest, n, rest = string.match(known, '^(%d+):(%d+)(.*)$')
  if newest == day then return day .. ':' .. string.format('%d', tonumber(n) + lookups) .. rest end
  local list = { { tonumber(day), lookups } }
  for d, n in string.gmatch(known, '(%d+):(%d+)') do
    if d == day then list[1][2] = list[1][2] + tonumber(n) else list[#list + 1] = { tonumber(d), tonumber(n) } end
  end
  table.sort(list, function(a, b) return a[1] > b[1] end)
  local out = {}
  for i = 1, math.min(#list, ${MAX_DAYS}) do out[i] = string.format('%d:%d', list[i][1], list[i][2]) end
  return table.concat(out, ' ')
end

for i = 3, #KEYS do
  local key, base = KEYS[i], 3 + (i - 3) * 11
  local first, last, lookups = tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3])
  local low, high = tonumber(ARGV[base + 4]), tonumber(ARGV[base + 5])
  local known = redis.call('HMGET', key, 'f', 'l', 'n', 't', 'a', 'c', 'q', 'd')
  if known[1] then
    local min, max = string.match(known[4], '^(%d+) (%d+)$')
    low, high = math.min(low, tonumber(min)), math.max(high, tonumber(max))
  else
    redis.call('ZADD', KEYS[2], 0, ARGV[base])
  end
  local pending = tonumber(known[7] or '0')
  local field = ARGV[base + 8]
  if pending >= ${MAX_PENDING} then field = ARGV[base + 9] end
  local row = redis.call('HGET', key, field)
  if not row then pending = pending + 1 end
  redis.call('HSET', key,
    'f', string.format('%d', math.min(first, tonumber(known[1] or first))),
    'l', string.format('%d', math.max(last, tonumber(known[2] or last))),
    'n', string.format('%d', lookups + tonumber(known[3] or '0')),
    't', string.format('%d %d', low, high),
    'a', addresses(known[5], ARGV[base + 6], last),
    'c', chain(known[6], ARGV[base + 7], last),
    'q', string.format('%d', pending),
    'd', days(known[8], ARGV[base + 10], lookups),
    field, usage(row, first, last, lookups))
end
return 1
`;
