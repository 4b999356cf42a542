import { MAX_ADDRESSES } from '../../observation/observation.js';
import { BATCH_WINDOW } from '../batch-window.js';
import { MAX_PENDING } from '../host-core.js';
import { MAX_CHILDREN, MAX_DAYS } from '../host-record.js';

/**
 * Merges one batch's observations of one shard, which the caller has merged by host as far as it could.
 *
 * A host is a hash. Times are Unix milliseconds; lists are words separated by a blank.
 * ```
 *   f, l, n   first seen, last seen, lookups          s   state, absent: candidate
 *   t         "<min ttl> <max ttl>"                   x   transitions, one a line (see redis-host.ts), oldest first
 *   a         "<address> <minute last seen> …"        q   number of pending rows
 *   c         "<minute last seen> <cname> …"          p|…, w|…   "<first> <last> <lookups>" (see evidence-fields.ts)
 *   d         "<day since 1970>:<lookups> …", newest first       i   "<state> <reason>" that it began with, if not a look-up
 *   g         "<flag>:<since>:<until or empty> …"     o, k       ports, decisions: one JSON text a line
 *   e         children of a parent that are not stored singly
 * ```
 */
export const RECORD = `
-- Input   KEYS[1] recorded sequences of the source   KEYS[2] index of hosts   KEYS[3] hosts of each registrable domain
--         KEYS[4] quarantined parents   KEYS[5..] the hosts, each once
--         ARGV[1] sequence   ARGV[2] expiry of KEYS[1] in seconds   ARGV[3] what comes before a name in the key of a host
--         ARGV[4] most hosts of a domain   ARGV[5] most hosts of the shard
--         then for each host: hostname, first, last, lookups, min ttl, max ttl, addresses as in a, chain as in c,
--         days as in d, registrable domain, number of rows, and 5 a row: field in slots, field in days, first, last, lookups
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

-- What is seen often is mostly known to the minute already: then there is nothing to take apart.
local function addresses(known, more)
  if known then
    local missing, words = false, ' ' .. known .. ' '
    for word in string.gmatch(more, '%S+ %d+') do
      if not string.find(words, ' ' .. word .. ' ', 1, true) then missing = true break end
    end
    if not missing then return known end
  end
  local seen, list = {}, {}
  for address, at in string.gmatch((known or '') .. ' ' .. more, '(%S+) (%d+)') do
    at = tonumber(at)
    if not seen[address] then list[#list + 1] = address end
    if not seen[address] or seen[address] < at then seen[address] = at end
  end
  table.sort(list, function(a, b)
    if seen[a] ~= seen[b] then return seen[a] > seen[b] end
    return a < b
  end)
  for i = 1, #list do list[i] = list[i] .. ' ' .. seen[list[i]] end
  return table.concat(list, ' ', 1, math.min(#list, ${MAX_ADDRESSES}))
end

local function chain(known, more)
  if not known or known == more then return more end
  local at, names = string.match(known, '^(%d+) ?(.*)$')
  local moreAt, moreNames = string.match(more, '^(%d+) ?(.*)$')
  at, moreAt = tonumber(at), tonumber(moreAt)
  if at > moreAt or (at == moreAt and names <= moreNames) then return known end
  return more
end

local function days(known, more)
  if not known then return more end
  local newest, n, rest = string.match(known, '^(%d+):(%d+)(.*)$')
  local day, m = string.match(more, '^(%d+):(%d+)$')
  if newest == day then return day .. ':' .. tonumber(n) + tonumber(m) .. rest end
  local count, list = {}, {}
  for d, n in string.gmatch(known .. ' ' .. more, '(%d+):(%d+)') do
    d = tonumber(d)
    if not count[d] then list[#list + 1] = d end
    count[d] = (count[d] or 0) + tonumber(n)
  end
  table.sort(list, function(a, b) return a > b end)
  for i = 1, #list do list[i] = list[i] .. ':' .. count[list[i]] end
  return table.concat(list, ' ', 1, math.min(#list, ${MAX_DAYS}))
end

local function usage(known, first, last, lookups)
  if not known then return first .. ' ' .. last .. ' ' .. lookups end
  local f, l, n = string.match(known, '^(%d+) (%d+) (%d+)$')
  return math.min(tonumber(first), tonumber(f)) .. ' ' .. math.max(tonumber(last), tonumber(l)) .. ' ' ..
    tonumber(lookups) + tonumber(n)
end

local function children(known, child)
  local names, seen = {}, {}
  for name in string.gmatch((known or '') .. ' ' .. child, '%S+') do
    if not seen[name] then names[#names + 1] = name end
    seen[name] = true
  end
  table.sort(names)
  return table.concat(names, ' ', 1, math.min(#names, ${MAX_CHILDREN}))
end

local maxOfDomain, maxOfShard = tonumber(ARGV[4]), tonumber(ARGV[5])
local hasParents = redis.call('EXISTS', KEYS[4]) == 1
local hosts = redis.call('ZCARD', KEYS[2])

-- A collector that sees a tunnel tells of *.parent itself.
-- Where a host goes that is not known: to a row of its own (nil), to that of a parent, or (false) only into a count.
local function rowOf(hostname, domain)
  if string.sub(hostname, 1, 2) == '*.' then return hostname, 'tunnel-like' end
  local parent = hasParents and string.match(hostname, '^[^.]+%.(.+)$')
  while parent and #parent >= #domain do
    if redis.call('SISMEMBER', KEYS[4], parent) == 1 then return '*.' .. parent, 'tunnel-like' end
    parent = string.match(parent, '^[^.]+%.(.+)$')
  end
  if tonumber(redis.call('HGET', KEYS[3], domain) or '0') >= maxOfDomain then return '*.' .. domain, 'over-cap' end
  if hosts >= maxOfShard then return false end
  return nil
end

local at = 6
for i = 5, #KEYS do
  local key, name, rows = KEYS[i], ARGV[at], tonumber(ARGV[at + 10])
  local names = { 'f', 'l', 'n', 't', 'a', 'c', 'd', 'q', 'e' }
  for row = 1, rows do names[9 + row] = ARGV[at + 6 + row * 5] end
  local known = redis.call('HMGET', key, unpack(names))
  local set = { 'l', ARGV[at + 2], 'n', ARGV[at + 3] }
  local row, reason
  if not known[1] then
    row, reason = rowOf(name, ARGV[at + 9])
    if row == nil then
      redis.call('HINCRBY', KEYS[3], ARGV[at + 9], 1)
      hosts = hosts + 1
    elseif row == false then
      redis.call('HINCRBY', KEYS[3], '|lookups', ARGV[at + 3])
      redis.call('HSET', KEYS[3], '|examples', children(redis.call('HGET', KEYS[3], '|examples'), name))
    else
      key = ARGV[3] .. row
      known = redis.call('HMGET', key, unpack(names))
      name = row
    end
  end
  local function put(field, before, value)
    if value ~= before then set[#set + 1] = field; set[#set + 1] = value end
  end
  if known[1] then
    set[2] = math.max(tonumber(known[2]), tonumber(ARGV[at + 2]))
    set[4] = tonumber(known[3]) + tonumber(ARGV[at + 3])
    if tonumber(ARGV[at + 1]) < tonumber(known[1]) then put('f', known[1], ARGV[at + 1]) end
    local min, max = string.match(known[4], '^(%d+) (%d+)$')
    put('t', known[4], math.min(tonumber(min), tonumber(ARGV[at + 4])) .. ' ' ..
      math.max(tonumber(max), tonumber(ARGV[at + 5])))
  else
    if row then
      put('i', nil, 'quarantined ' .. reason)
      put('s', nil, 'quarantined')
    end
    put('f', nil, ARGV[at + 1])
    put('t', nil, ARGV[at + 4] .. ' ' .. ARGV[at + 5])
  end
  put('a', known[5], addresses(known[5], ARGV[at + 6]))
  put('c', known[6], chain(known[6], ARGV[at + 7]))
  put('d', known[7], days(known[7], ARGV[at + 8]))
  local waiting = tonumber(known[8] or '0')
  local pending, added = waiting, {}
  for row = 1, rows do
    local base = at + 6 + row * 5
    local field, before = ARGV[base], known[9 + row]
    if pending >= ${MAX_PENDING} then
      field = ARGV[base + 1]
      before = added[field] or redis.call('HGET', key, field)
    end
    if not before then pending = pending + 1 end
    local value = usage(before, ARGV[base + 2], ARGV[base + 3], ARGV[base + 4])
    if field ~= ARGV[base] then added[field] = value end
    set[#set + 1] = field
    set[#set + 1] = value
  end
  if pending ~= waiting then put('q', nil, pending) end
  if row ~= false then
    if row and row ~= ARGV[at] then put('e', known[9], children(known[9], ARGV[at])) end
    if not known[1] then redis.call('ZADD', KEYS[2], 0, name) end
    redis.call('HSET', key, unpack(set))
  end
  at = at + 11 + rows * 5
end
return 1
`;
