import { MAX_ADDRESSES } from '../../observation/observation.js';
import { BATCH_WINDOW } from '../batch-window.js';
import { MAX_PENDING } from '../host-core.js';
import { MAX_CHILDREN, MAX_DAYS } from '../host-record.js';
import { NAME_FUNCTIONS, USAGE_FUNCTIONS } from './text.js';

/** Merges one batch's observations of one shard, which the caller has merged by host as far as it could. */
export const RECORD = `
-- Input   KEYS[1] recorded sequences of the source   KEYS[2] hosts   KEYS[3] counts of what is not stored
--         KEYS[4] quarantined parents   then 2 a host, each host once: its pending evidence, hosts of domains
--         ARGV[1] sequence   ARGV[2] expiry of KEYS[1] in seconds   ARGV[3] what comes before a name in the key of pending
--         evidence   ARGV[4] most hosts of a domain   ARGV[5] most hosts of the shard
--         then for each host: hostname, registrable domain, the four observed lines of its text (see redis-host.ts), number
--         of rows, and 3 a row: field in slots, field in days, "<first> <span> <lookups>"
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
${USAGE_FUNCTIONS}${NAME_FUNCTIONS}
-- "<minute><address><address> <minute><address>", the latest minute first; see packed-address.ts.
local function addresses(known, more)
  if known == more then return known end
  local minute, latest = string.match(known, '^(%w+)([^ ]*)')
  if minute and string.match(more, '^%w+') == minute and not string.find(more, ' ', 1, true) then
    -- What is seen often is mostly known to the minute already: then there is nothing to take apart.
    local missing = false
    for address in string.gmatch(more, '[!-)][^!-)]*') do
      if not string.find(latest, address, 1, true) then missing = true break end
    end
    if not missing then return known end
  end
  local seen, list = {}, {}
  for _, text in ipairs({ known, more }) do
    for word in string.gmatch(text, '%S+') do
      local at = string.match(word, '^%w+')
      local n = tonumber(at, 36)
      for address in string.gmatch(word, '[!-)][^!-)]*') do
        if not seen[address] then list[#list + 1] = address end
        if not seen[address] or seen[address].n < n then seen[address] = { n = n, text = at } end
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
      if at then words[#words + 1] = ' ' end
      at = seen[list[i]].text
      words[#words + 1] = at
    end
    words[#words + 1] = list[i]
  end
  return table.concat(words)
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

-- A number of look-ups, see packed-counts.ts.
local function readCount(text)
  local n = 0
  for i = 1, #text do
    local octet = string.byte(text, i)
    n = n * 32 + octet - (octet < 95 and 63 or 95)
  end
  return n
end

local function writeCount(n)
  local text = string.char(95 + n % 32)
  n = math.floor(n / 32)
  while n > 0 do
    text = string.char(63 + n % 32) .. text
    n = math.floor(n / 32)
  end
  return text
end

-- "<day> <lookups><lookups><days between><lookups>…", the newest first, each a day before the one before unless it says.
local function readDays(text, count, list)
  local newest, counts = string.match(text, '^(%w+) (.*)$')
  local day = tonumber(newest, 36) + 1
  for gap, n in string.gmatch(counts, '(%d*)([?-^]*[_-~])') do
    day = day - (gap == '' and 1 or tonumber(gap))
    if not count[day] then list[#list + 1] = day end
    count[day] = (count[day] or 0) + readCount(n)
  end
end

local function days(known, more)
  if known == '' then return more end
  local newest, n, rest = string.match(known, '^(%w+) ([?-^]*[_-~])(.*)$')
  local day, m = string.match(more, '^(%w+) ([?-^]*[_-~])$')
  if newest == day then return day .. ' ' .. writeCount(readCount(n) + readCount(m)) .. rest end
  local count, list = {}, {}
  readDays(known, count, list)
  readDays(more, count, list)
  table.sort(list, function(a, b) return a > b end)
  local words = { base36(list[1]), ' ' }
  for i = 1, math.min(#list, ${MAX_DAYS}) do
    local gap = i == 1 and 1 or list[i - 1] - list[i]
    words[#words + 1] = (gap == 1 and '' or string.format('%d', gap)) .. writeCount(count[list[i]])
  end
  return table.concat(words)
end

local maxOfDomain, maxOfShard = tonumber(ARGV[4]), tonumber(ARGV[5])
local hasParents = redis.call('EXISTS', KEYS[4]) == 1
local hosts = redis.call('HLEN', KEYS[2])

-- Where a host goes that is not known: to a row of its own (nil), to that of a parent, or (false) only into a count.
local function rowOf(hostname, domain, domains)
  -- A collector that sees a tunnel tells of *.parent itself.
  if string.sub(hostname, 1, 2) == '*.' then return hostname, 'tunnel-like' end
  local parent = hasParents and string.match(hostname, '^[^.]+%.(.+)$')
  while parent and #parent >= #domain do
    if redis.call('SISMEMBER', KEYS[4], parent) == 1 then return '*.' .. parent, 'tunnel-like' end
    parent = string.match(parent, '^[^.]+%.(.+)$')
  end
  if tonumber(redis.call('HGET', domains, domain) or '0') >= maxOfDomain then return '*.' .. domain, 'over-cap' end
  if hosts >= maxOfShard then return false end
  return nil
end

local at = 6
for i = 5, #KEYS, 2 do
  local pending, domains = KEYS[i], KEYS[i + 1]
  local name, rows = ARGV[at], tonumber(ARGV[at + 6])
  local before = redis.call('HGET', KEYS[2], name)
  local row, reason
  if not before then
    row, reason = rowOf(name, ARGV[at + 1], domains)
    if row == nil then
      redis.call('HINCRBY', domains, ARGV[at + 1], 1)
    elseif row == false then
      local lookups = string.match(ARGV[at + 2], '^%w+ %w+ (%w+)')
      redis.call('HINCRBY', KEYS[3], 'lookups', tonumber(lookups, 36))
      redis.call('HSET', KEYS[3], 'examples', addName(redis.call('HGET', KEYS[3], 'examples'), name, ${MAX_CHILDREN}))
    else
      pending, name = ARGV[3] .. row, row
      before = redis.call('HGET', KEYS[2], name)
    end
  end
  if row ~= false then
    local use, seen, chained, daily, children, rest
    if before then
      use, seen, chained, daily, children, rest =
        string.match(before, '^([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)(.*)$')
      local min, max = string.match(use, '(%w+) (%w+)$')
      local moreMin, moreMax = string.match(ARGV[at + 2], '(%w+) (%w+)$')
      if tonumber(moreMin, 36) < tonumber(min, 36) then min = moreMin end
      if tonumber(moreMax, 36) > tonumber(max, 36) then max = moreMax end
      use = usage(use, ARGV[at + 2]) .. ' ' .. min .. ' ' .. max
      seen, chained, daily = addresses(seen, ARGV[at + 3]), chain(chained, ARGV[at + 4]), days(daily, ARGV[at + 5])
    else
      hosts = hosts + 1
      use, seen, chained, daily = ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
      children, rest = '', row and '\\n\\niq ' .. reason or '\\n'
    end
    if row and row ~= ARGV[at] then children = addName(children, ARGV[at], ${MAX_CHILDREN}) end
    local lines = { use, seen, chained, daily, children }
    redis.call('HSET', KEYS[2], name, table.concat(lines, '\\n') .. rest)
    local waiting = redis.call('HLEN', pending)
    for r = at + 7, at + 4 + rows * 3, 3 do
      local field = waiting < ${MAX_PENDING} and ARGV[r] or ARGV[r + 1]
      if redis.call('HSETNX', pending, field, ARGV[r + 2]) == 1 then waiting = waiting + 1
      else redis.call('HSET', pending, field, usage(redis.call('HGET', pending, field), ARGV[r + 2])) end
    end
  end
  at = at + 7 + rows * 3
end
return 1
`;
