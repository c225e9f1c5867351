-- Replaces one partition's part of a delivery's hash, and adjusts the totals by the difference.
--
-- KEYS[1]   hash of the delivery
-- ARGV[1]   partition
-- ARGV[2]   id of the Kafka cluster and installation; fences of another one are not compared
-- ARGV[3,4] epoch of the partition's owner: producer id, producer epoch
-- ARGV[5]   source offset that the part includes
-- ARGV[6]   numbers of the part by name, as a JSON object without zeros
-- ARGV[7]   1: the caller has written this part before, and it can't have expired since
-- ARGV[8,9] arrival of the part's first and last event, seconds since 1970
-- ARGV[10]  seconds without events after which the hash expires
-- ARGV[11]  channel of announcements
-- ARGV[12]  delivery id
--
-- Returns 0 if the stored part is newer (the write is fenced), -1 if the hash was lost since the caller's last write,
-- -2 if the hash would expire at once (nothing is written), else 1.
local totals, field = KEYS[1], '_p' .. ARGV[1]
local cluster, pid, epoch, offset = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local new, known = cjson.decode(ARGV[6]), ARGV[7] == '1'
local existed = redis.call('EXISTS', totals) == 1
local stored = redis.call('HGET', totals, field)
local old = {}
if stored then
  local part = cjson.decode(stored)
  if part.c == cluster then
    if part.p > pid or (part.p == pid and (part.e > epoch or (part.e == epoch and part.o > offset))) then
      return 0
    end
  end
  old = part.k
end
local updated = redis.call('HGET', totals, 'updated_at')
if not updated or tonumber(updated) < tonumber(ARGV[9]) then updated = ARGV[9] end
-- By the clock that expires keys, which is Redis' own. A hash that is written and gone at once would look like a loss to
-- the next write.
local expires_ms, time = (tonumber(updated) + tonumber(ARGV[10])) * 1000, redis.call('TIME')
if expires_ms <= tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000 then return -2 end
for name, value in pairs(new) do
  local difference = value - (old[name] or 0)
  if difference ~= 0 then redis.call('HINCRBY', totals, name, string.format('%d', difference)) end
end
for name, value in pairs(old) do
  if new[name] == nil and value ~= 0 then redis.call('HINCRBY', totals, name, string.format('%d', -value)) end
end
redis.call('HSET', totals, field, cjson.encode({c = cluster, p = pid, e = epoch, o = offset, k = new}))
local started = redis.call('HGET', totals, 'started_at')
if not started or tonumber(started) > tonumber(ARGV[8]) then redis.call('HSET', totals, 'started_at', ARGV[8]) end
redis.call('HSET', totals, 'updated_at', updated)
local revision = redis.call('HINCRBY', totals, 'revision', 1)
redis.call('PEXPIREAT', totals, string.format('%.0f', expires_ms))
redis.call('PUBLISH', ARGV[11], cjson.encode({delivery_id = ARGV[12], revision = revision}))
if known and not existed then return -1 end
return 1
