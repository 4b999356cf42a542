/** Reads some hosts. */
export const READ = `
-- Input   KEYS: 2 a host, its hash and its pending evidence
-- Output  for each host one text: field, value, field, value, … with an octet of zero between; empty when it is not known
-- Atomic  so that evidence is seen where it waits or where it belongs, never in both. One text a host because a reply
--         of some twenty strings a host is what takes most of the time of those who read many.
local texts = {}
for i = 1, #KEYS, 2 do
  local text = table.concat(redis.call('HGETALL', KEYS[i]), '\\0')
  local pending = redis.call('HGETALL', KEYS[i + 1])
  if #pending > 0 then text = text .. '\\0' .. table.concat(pending, '\\0') end
  texts[#texts + 1] = text
end
return texts
`;
