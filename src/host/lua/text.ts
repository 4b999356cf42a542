/**
 * Workloads that a host's text has room for; more are in a hash of their own. Most hosts have few, and a text is written
 * as a whole whenever the host is looked up.
 */
export const MAX_TEXT_WORKLOADS = 16;

/** Local functions for scripts that change the text of a host, see redis-host.ts. */
export const TEXT_FUNCTIONS = `
-- The observed lines, children, workloads and the story, whose lines each begin with the end of the line before.
local function take(text)
  return string.match(text, '^([^\\n]*\\n[^\\n]*\\n[^\\n]*\\n[^\\n]*)\\n([^\\n]*)\\n([^\\n]*)(.*)$')
end

local function stateOf(story)
  return string.match(story, '\\nt(.)[^\\n]*$') or string.match(story, '^\\ni(.)') or 'c'
end
`;

/** Local functions for scripts that merge "<first> <span> <lookups>", numbers to the base of 36. */
export const USAGE_FUNCTIONS = `
local DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz'
local function base36(n)
  local text = ''
  repeat
    local digit = n % 36
    text = string.sub(DIGITS, digit + 1, digit + 1) .. text
    n = (n - digit) / 36
  until n == 0
  return text
end

-- The merged text without what follows the three numbers.
local function usage(known, more)
  local first, span, lookups = string.match(known, '^(%w+) (%w+) (%w+)')
  local moreFirst, moreSpan, moreLookups = string.match(more, '^(%w+) (%w+) (%w+)')
  local f, moreF = tonumber(first, 36), tonumber(moreFirst, 36)
  local last = math.max(f + tonumber(span, 36), moreF + tonumber(moreSpan, 36))
  if moreF < f then first, f = moreFirst, moreF end
  return first .. ' ' .. base36(last - f) .. ' ' .. base36(tonumber(lookups, 36) + tonumber(moreLookups, 36))
end
`;

/** Local functions for scripts that add a row to the workloads of a host; after {@link USAGE_FUNCTIONS}. */
export const ROW_FUNCTIONS = `
-- The workloads of a text with one row more. Where the text has no room for it, it goes to the hash.
local function addRow(rows, hash, field, row)
  local _, before = string.find(' ' .. rows, ' ' .. field .. ' ', 1, true)
  if before then
    local known, rest = string.match(rows, '^(%w+ %w+ %w+)(.*)$', before)
    return string.sub(rows, 1, before - 1) .. usage(known, row) .. rest
  end
  local known = redis.call('HGET', hash, field)
  local _, blanks = string.gsub(rows, ' ', ' ')
  if known or blanks >= ${MAX_TEXT_WORKLOADS * 4 - 1} then
    redis.call('HSET', hash, field, known and usage(known, row) or row)
    return rows
  end
  return (rows == '' and '' or rows .. ' ') .. field .. ' ' .. row
end
`;

/** Local functions for scripts that keep the first few of a set of names. */
export const NAME_FUNCTIONS = `
-- The first few in order of known and one more, so that adding in any order gives the same.
local function addName(known, name, most)
  local names, seen = {}, {}
  for word in string.gmatch((known or '') .. ' ' .. name, '%S+') do
    if not seen[word] then names[#names + 1] = word end
    seen[word] = true
  end
  table.sort(names)
  return table.concat(names, ' ', 1, math.min(#names, most))
end
`;
