/** Reads some hosts. */
export const READ = `
-- Input   KEYS[1] hosts, then 2 a host: its pending evidence, its workloads beside the text   ARGV names of the hosts
-- Output  for each host one text: its own, then field, value, field, value, … of its rows, an octet of zero before each;
--         empty when it is not known
-- Atomic  so that evidence is seen where it waits or where it belongs, never in both. One text a host because a reply
--         of some twenty strings a host is what takes most of the time of those who read many.
local texts = {}
for i = 1, #ARGV do
  local words = { redis.call('HGET', KEYS[1], ARGV[i]) or '' }
  for key = 2 * i, 2 * i + 1 do
    local rows = redis.call('HGETALL', KEYS[key])
    for row = 1, #rows do words[#words + 1] = rows[row] end
  end
  texts[i] = table.concat(words, '\\0')
end
return texts
`;
