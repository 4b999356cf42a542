/** Sets fields of one hash, if they still are what the caller read. */
export const COMPARE_AND_SET = `
-- Input   KEYS[1] hash   and of a host that is new: KEYS[2] its shelf   KEYS[3] the shard
--         ARGV[1] name of the new host   then 3 a field: name, value expected, value to set; empty is absent
-- Output  1 set, 0 a field is not as expected
-- Atomic  so that nobody's change between the caller's read and this write is lost.
for i = 2, #ARGV, 3 do
  if (redis.call('HGET', KEYS[1], ARGV[i]) or '') ~= ARGV[i + 1] then return 0 end
end
for i = 2, #ARGV, 3 do
  if ARGV[i + 2] == '' then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
end
if KEYS[2] and redis.call('HSETNX', KEYS[2], ARGV[1], '') == 1 then redis.call('HINCRBY', KEYS[3], 'hosts', 1) end
return 1
`;
