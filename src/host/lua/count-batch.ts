import { BATCH_WINDOW } from '../batch-window.js';
import { MAX_STORED_EXAMPLES } from '../rejection-examples.js';

/** Adds counts of reasons, three arguments each from `ARGV[first]` on, to the hash of a key. */
const addCounts = (key: string, first: number): string => `
for i = ${first}, #ARGV, 3 do
  redis.call('HINCRBY', ${key}, ARGV[i], ARGV[i + 1])
  local names, seen = {}, {}
  local known = redis.call('HGET', ${key}, ARGV[i] .. '|examples') or ''
  for name in string.gmatch(known .. ' ' .. ARGV[i + 2], '%S+') do
    if not seen[name] then names[#names + 1] = name end
    seen[name] = true
  end
  table.sort(names)
  redis.call('HSET', ${key}, ARGV[i] .. '|examples', table.concat(names, ' ', 1, math.min(#names, ${MAX_STORED_EXAMPLES})))
end`;

/** Adds counts of what was not learnt that are of no batch. */
export const COUNT_REJECTIONS = `
-- Input   KEYS[1] counts of what was not learnt
--         ARGV 3 a reason: reason, responses, examples
-- Output  nothing
-- Atomic  so that no example is lost to another's.
${addCounts('KEYS[1]', 1)}
`;

/** Counts one batch of a source, and adds its counts of what was not learnt. */
export const COUNT_BATCH = `
-- Input   KEYS[1] recorded sequences of the source   KEYS[2] counts of what was not learnt   KEYS[3] sources
--         ARGV[1] sequence   ARGV[2] expiry of KEYS[1] in seconds   ARGV[3] source
--         then 3 a reason: reason, responses, examples
-- Output  1 counted, 0 counted before
-- Atomic  so that a batch that is sent twice counts once.
local sequence = tonumber(ARGV[1])
local highest, words = sequence, {}
for word in string.gmatch(redis.call('GET', KEYS[1]) or '', '%d+') do
  local n = tonumber(word)
  if n == sequence then return 0 end
  if n > highest then highest = n end
  words[#words + 1] = word
end
if sequence <= highest - ${BATCH_WINDOW} then return 0 end
words[#words + 1] = ARGV[1]
local kept = {}
for i = 1, #words do
  if tonumber(words[i]) > highest - ${BATCH_WINDOW} then kept[#kept + 1] = words[i] end
end
redis.call('SET', KEYS[1], table.concat(kept, ' '), 'EX', ARGV[2])
local batches, top = string.match(redis.call('HGET', KEYS[3], ARGV[3] .. '|n') or '0 0', '^(%d+) (%d+)$')
redis.call('HSET', KEYS[3], ARGV[3] .. '|n',
  string.format('%d %d', tonumber(batches) + 1, math.max(tonumber(top), sequence)))
${addCounts('KEYS[2]', 4)}
return 1
`;
