import { MAX_ADDRESSES } from '../../observation/observation.js';
import { BATCH_WINDOW } from '../batch-window.js';
import { MAX_PENDING } from '../host-core.js';
import { MAX_CHILDREN, MAX_DAYS } from '../host-record.js';
import { NAME_FUNCTIONS, PIECE_FUNCTIONS, USAGE_FUNCTIONS } from './text.js';

/** Merges one batch's observations of one shard, which the caller has merged by host as far as it could. */
export const RECORD = `
-- Input   KEYS[1] recorded sequences of the source   KEYS[2] the shard   KEYS[3] quarantined parents
--         then 3 a host, each host once: its hash, its pending evidence, its shelf
--         ARGV[1] sequence   ARGV[2] expiry of KEYS[1] in seconds
--         ARGV[3], ARGV[4] what comes before a name in the key of a hash, of pending evidence
--         ARGV[5] most hosts of a domain   ARGV[6] most hosts of the shard
--         then for each host: hostname, registrable domain, the four lines of its text (see redis-host.ts), number of rows,
--         and 3 a row: field in slots, field in days, "<first> <span> <lookups>"
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
${PIECE_FUNCTIONS}${USAGE_FUNCTIONS}${NAME_FUNCTIONS}
-- "<minute> <address> <address> <minute> <address>", the latest minute first.
local function addresses(known, more)
  if known == more then return known end
  local minute, names = string.match(known, '^(%w+)(.*)$')
  if minute and string.sub(more, 1, #minute + 1) == minute .. ' ' then
    -- What is seen often is mostly known to the minute already: then there is nothing to take apart.
    local latest, missing = names .. ' ', false
    local next = string.find(latest, ' %w+ ')
    if next then latest = string.sub(latest, 1, next) end
    for word in string.gmatch(string.sub(more, #minute + 2), '%S+') do
      if not string.find(latest, ' ' .. word .. ' ', 1, true) then missing = true break end
    end
    if not missing then return known end
  end
  local seen, list = {}, {}
  for _, text in ipairs({ known, more }) do
    local at
    for word in string.gmatch(text, '%S+') do
      if not string.find(word, '[.:]') then at = word
      else
        local n = tonumber(at, 36)
        if not seen[word] then list[#list + 1] = word end
        if not seen[word] or seen[word].n < n then seen[word] = { n = n, text = at } end
      end
    end
  end
  table.sort(list, function(a, b)
    if seen[a].n ~= seen[b].n then return seen[a].n > seen[b].n end
    return a < b
  end)
  local words, at = {}, nil
  for i = 1, math.min(#list, ${MAX_ADDRESSES}) do
    if seen[list[i]].text ~= at then
      at = seen[list[i]].text
      words[#words + 1] = at
    end
    words[#words + 1] = list[i]
  end
  return table.concat(words, ' ')
end

-- "<minute> <cname> …": the latest, of two of one minute the first in order.
local function chain(known, more)
  if known == more then return known end
  local at, names = string.match(known, '^(%w+) ?(.*)$')
  local moreAt, moreNames = string.match(more, '^(%w+) ?(.*)$')
  local n, m = tonumber(at, 36), tonumber(moreAt, 36)
  if n > m or (n == m and names <= moreNames) then return known end
  return more
end

-- "<day> <lookups> <lookups> <days between>.<lookups> …", the newest first, each a day before the one before unless it says.
local function readDays(text, count, list)
  local day
  for word in string.gmatch(text, '%S+') do
    if not day then day = tonumber(word, 36) + 1
    else
      local gap, n = string.match(word, '^(%w+)%.(%w+)$')
      day = day - (gap and tonumber(gap, 36) or 1)
      if not count[day] then list[#list + 1] = day end
      count[day] = (count[day] or 0) + tonumber(n or word, 36)
    end
  end
end

local function days(known, more)
  if known == '' then return more end
  local newest, n, rest = string.match(known, '^(%w+) (%w+)(.*)$')
  local day, m = string.match(more, '^(%w+) (%w+)$')
  if newest == day then return day .. ' ' .. base36(tonumber(n, 36) + tonumber(m, 36)) .. rest end
  local count, list = {}, {}
  readDays(known, count, list)
  readDays(more, count, list)
  table.sort(list, function(a, b) return a > b end)
  local words = { base36(list[1]) }
  for i = 1, math.min(#list, ${MAX_DAYS}) do
    local gap = i == 1 and 1 or list[i - 1] - list[i]
    words[i + 1] = (gap == 1 and '' or base36(gap) .. '.') .. base36(count[list[i]])
  end
  return table.concat(words, ' ')
end

local maxOfDomain, maxOfShard = tonumber(ARGV[5]), tonumber(ARGV[6])
local hasParents = redis.call('EXISTS', KEYS[3]) == 1
local hosts = tonumber(redis.call('HGET', KEYS[2], 'hosts') or '0')
local hostsBefore = hosts

-- Where a host goes that is not known: to a row of its own (nil), to that of a parent, or (false) only into a count.
local function rowOf(hostname, domain, shelf)
  -- A collector that sees a tunnel tells of *.parent itself.
  if string.sub(hostname, 1, 2) == '*.' then return hostname, 'tunnel-like' end
  local parent = hasParents and string.match(hostname, '^[^.]+%.(.+)$')
  while parent and #parent >= #domain do
    if redis.call('SISMEMBER', KEYS[3], parent) == 1 then return '*.' .. parent, 'tunnel-like' end
    parent = string.match(parent, '^[^.]+%.(.+)$')
  end
  if tonumber(redis.call('HGET', shelf, '.' .. domain) or '0') >= maxOfDomain then return '*.' .. domain, 'over-cap' end
  if hosts >= maxOfShard then return false end
  return nil
end

local FIELDS = { 'q', unpack(OBSERVED) }
local at = 7
for i = 4, #KEYS, 3 do
  local key, pending, shelf = KEYS[i], KEYS[i + 1], KEYS[i + 2]
  local name, rows = ARGV[at], tonumber(ARGV[at + 6])
  local known = redis.call('HMGET', key, unpack(FIELDS))
  local before = join(known, 2)
  local row, reason
  if not before then
    row, reason = rowOf(name, ARGV[at + 1], shelf)
    if row == nil then
      redis.call('HINCRBY', shelf, '.' .. ARGV[at + 1], 1)
    elseif row == false then
      local lookups = string.match(ARGV[at + 2], '^%w+ %w+ (%w+)')
      redis.call('HINCRBY', KEYS[2], 'lookups', tonumber(lookups, 36))
      redis.call('HSET', KEYS[2], 'examples', addName(redis.call('HGET', KEYS[2], 'examples'), name, ${MAX_CHILDREN}))
    else
      key, pending, name = ARGV[3] .. row, ARGV[4] .. row, row
      known = redis.call('HMGET', key, unpack(FIELDS))
      before = join(known, 2)
    end
  end
  if row ~= false then
    local set, gone, after = {}, {}, nil
    if before then
      local use, a, c, d = string.match(before, '^([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n(.*)$')
      local min, max = string.match(use, '(%w+) (%w+)$')
      local moreMin, moreMax = string.match(ARGV[at + 2], '(%w+) (%w+)$')
      if tonumber(moreMin, 36) < tonumber(min, 36) then min = moreMin end
      if tonumber(moreMax, 36) > tonumber(max, 36) then max = moreMax end
      after = usage(use, ARGV[at + 2]) .. ' ' .. min .. ' ' .. max .. '\\n' .. addresses(a, ARGV[at + 3]) .. '\\n' ..
        chain(c, ARGV[at + 4]) .. '\\n' .. days(d, ARGV[at + 5])
    else
      hosts = hosts + 1
      redis.call('HSET', shelf, name, '')
      after = table.concat(ARGV, '\\n', at + 2, at + 5)
      if row then set = { 'i', 'quarantined ' .. reason, 's', 'q' } end
    end
    split(OBSERVED, before or '', after, set, gone)
    local waiting = tonumber(known[1] or '0')
    local count = waiting
    for r = at + 7, at + 4 + rows * 3, 3 do
      local field = count < ${MAX_PENDING} and ARGV[r] or ARGV[r + 1]
      if redis.call('HSETNX', pending, field, ARGV[r + 2]) == 1 then count = count + 1
      else redis.call('HSET', pending, field, usage(redis.call('HGET', pending, field), ARGV[r + 2])) end
    end
    if count ~= waiting then
      set[#set + 1] = 'q'
      set[#set + 1] = count
    end
    if row and row ~= ARGV[at] then
      local children = read(key, CHILDREN) or ''
      split(CHILDREN, children, addName(children, ARGV[at], ${MAX_CHILDREN}), set, gone)
    end
    write(key, set, gone)
  end
  at = at + 7 + rows * 3
end
if hosts ~= hostsBefore then redis.call('HINCRBY', KEYS[2], 'hosts', hosts - hostsBefore) end
return 1
`;
