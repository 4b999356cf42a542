/** How many fields of a host's hash hold one text, and how much each; see redis-host.ts. */
export const PIECES = 8;
/** Redis keeps hashes compactly whose values have no more than 64 octets; one less spares an octet in each. */
export const PIECE_OCTETS = 63;

/** The fields that hold a text: `x`, `x1`, `x2`, … */
export function pieceFields(field: string): readonly string[] {
  return Array.from({ length: PIECES }, (_, index) => (index === 0 ? field : `${field}${index}`));
}

const quoted = (fields: readonly string[]): string => fields.map((field) => `'${field}'`).join(', ');

/** Local functions for scripts that change texts which are stored in pieces. */
export const PIECE_FUNCTIONS = `
local OBSERVED = { ${quoted(pieceFields('h'))} }
local STEPS = { ${quoted(pieceFields('x'))} }
local CHILDREN = { ${quoted(pieceFields('e'))} }

-- The text whose pieces are known[from], known[from + 1], …; nil when there is none.
local function join(known, from)
  local text = known[from]
  if not text then return nil end
  for i = from + 1, from + ${PIECES - 1} do
    if not known[i] then return text end
    text = text .. known[i]
  end
  return text
end

local function read(key, fields) return join(redis.call('HMGET', key, unpack(fields)), 1) end

-- Adds to set and gone what has to change for the text after to be stored where before was.
local function split(fields, before, after, set, gone)
  local from, i = 1, 1
  while from <= #after or from <= #before do
    local to = i < ${PIECES} and from + ${PIECE_OCTETS - 1} or -1
    local piece = string.sub(after, from, to)
    if piece == '' then gone[#gone + 1] = fields[i]
    elseif piece ~= string.sub(before, from, to) then
      set[#set + 1] = fields[i]
      set[#set + 1] = piece
    end
    if to < 0 then return end
    from, i = from + ${PIECE_OCTETS}, i + 1
  end
end

local function write(key, set, gone)
  if #set > 0 then redis.call('HSET', key, unpack(set)) end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
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
