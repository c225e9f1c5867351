-- Confirms a flush: raises the counter of each partition, unless Redis has lost data since the flush began.
--
-- KEYS      counters of the partitions
-- ARGV      for each of them: its value when the flush began ('' if it was missing), and its new value
--
-- Returns 1 for each counter that was raised, else 0.
local confirmed = {}
for i, key in ipairs(KEYS) do
  if (redis.call('GET', key) or '') == ARGV[2 * i - 1] then
    redis.call('SET', key, ARGV[2 * i])
    confirmed[i] = 1
  else
    confirmed[i] = 0
  end
end
return confirmed
