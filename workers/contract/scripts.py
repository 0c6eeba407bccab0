"""The Lua scripts by which both sides change Redis: each is one step that either happens whole or not at all.

Keys and arguments stand in each docstring, in order. Times are Redis TIME in ms. Scripts of the leader begin
by proving the lead, so a coordinator that stalled and lost it can change nothing.
"""

from workers.contract import names

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_LEADS = """
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] or redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[2] then
  return -1
end
"""

CLAIM = (
    _NOW
    + """
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held then
  if held == ARGV[2] then return 1 end
  return 0
end
if tonumber(ARGV[3]) > 0 and now > tonumber(ARGV[3]) then return 0 end
if redis.call('HEXISTS', KEYS[1], '*') == 1 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', now))
return 1
"""
)
"""Take an attempt, once. Keys: claims, leases. Args: attempt, incarnation, expires in ms (0: claimed again).

1: this incarnation holds it (also when it asks again: workers remember what they have run); 0: it does not.
"""

RENEW = (
    _NOW
    + f"local led = redis.call('EXISTS', '{names.LEADER}') == 1"
    + """
local answers = {}
for place, attempt in ipairs(ARGV) do
  if redis.call('HEXISTS', KEYS[1], attempt) == 0 then
    answers[place] = -1
  elseif not led then
    answers[place] = -2
  else
    redis.call('HSET', KEYS[1], attempt, string.format('%.0f', now))
    answers[place] = now
  end
end
return answers
"""
)
"""Renew leases of one campaign. Keys: leases. Args: attempts.

A list in the same order: now in ms; -1: the leader took the lease away; -2: nobody leads, nothing was
renewed. The leader's key stands in the text: EVAL wants leave to write each of its KEYS, and a worker's Redis
user may only read that one.
"""

FACT = """
if ARGV[3] ~= '' and redis.call('HGET', KEYS[3], ARGV[3]) ~= ARGV[4] then return -1 end
if redis.call('SADD', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[1], '*', 'f', ARGV[2])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 10000, '*', 'c', ARGV[5])
return 1
"""
"""Append a worker's or a person's fact. Keys: journal, fact_ids, claims (a person's: any other), inbox.

Args: fact id, fact as JSON, attempt ("": a person's), incarnation, campaign. 1: appended; 0: a repeat; -1:
the attempt is not (or no longer) this incarnation's. A lease taken away does not matter here: the truth may
arrive late.
"""

SNAPSHOT = """
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return -1 end
if redis.call('HEXISTS', KEYS[2], '*') == 1 then return -1 end
local answer = redis.pcall('XADD', KEYS[1], ARGV[3], 's', ARGV[4])
if type(answer) == 'table' and answer['err'] then
  if string.find(answer['err'], 'equal or smaller') then return 0 end
  return answer
end
return 1
"""
"""Append a snapshot; answers as FACT, and -1 where the campaign has ended.

Keys: snapshots, claims. Args: attempt, incarnation, id, snapshot.
"""

CARD = (
    _NOW
    + """
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old then
  local card = cjson.decode(old)
  if card['incarnation'] ~= ARGV[2] and now - card['seen_s'] * 1000 < tonumber(ARGV[4]) then return 0 end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""
)
"""Publish a worker's card. Keys: workers. Args: name, incarnation, card as JSON, how long a card lives in ms.

1: published; 0: another life of that name published within that time.
"""

CARD_GONE = """
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old or cjson.decode(old)['incarnation'] ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
"""
"""Take one's own card back. Keys: workers. Args: name, incarnation. How many were taken (0 or 1)."""

LEAD_ACQUIRE = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1] then return 0 end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return tonumber(redis.call('HGET', KEYS[1], 'epoch'))
end
local epoch = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], 'epoch', epoch, 'nonce', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return epoch
"""
"""Take the lead. Keys: leader, epoch. Args: nonce, lease in ms. The epoch, from 1; 0: somebody else leads."""

LEAD_RENEW = (
    _LEADS
    + """
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
)
"""Keep the lead. Keys: leader. Args: epoch, nonce, lease in ms. 1: kept; -1: it is not mine."""

LEAD_RELEASE = (
    _LEADS
    + """
redis.call('DEL', KEYS[1])
return 1
"""
)
"""Give the lead back. Keys: leader. Args: epoch, nonce. 1: given back; -1: it was not mine."""

LEAD_APPEND = (
    _LEADS
    + """
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
local last_id = last[1] and last[1][1] or '0-0'
if last_id ~= ARGV[3] then return -2 end
if redis.call('SADD', KEYS[3], ARGV[4]) == 0 then return -3 end
return redis.call('XADD', KEYS[2], '*', 'f', ARGV[5])
"""
)
"""Append a decision. Keys: leader, journal, fact_ids.

Args: epoch, nonce, id of the last entry folded ("0-0": none), fact id, fact as JSON.

The new entry's id; -1: not leading; -2: the journal has grown since (read again); -3: decided before.
"""

LEAD_REVOKE = (
    _LEADS
    + """
local held = redis.call('HGET', KEYS[2], ARGV[3]) or ''
if ARGV[4] ~= '*' and held ~= ARGV[4] then return 0 end
redis.call('HSETNX', KEYS[3], ARGV[3], '-')
redis.call('HDEL', KEYS[2], ARGV[3])
return 1
"""
)
"""Take an attempt's lease away for good, claimed or not, if it is still the one that was seen.

Keys: leader, leases, claims. Args: epoch, nonce, attempt, the lease as seen ("": none; "*": whatever it is).

1: nobody can claim or renew it now; 0: it was renewed or claimed since; -1: not leading.
"""

CHECKPOINT = (
    _LEADS
    + """
redis.call('HSET', KEYS[2], 'totals', ARGV[3])
if ARGV[4] ~= '' and redis.call('HEXISTS', KEYS[2], 'part:' .. ARGV[4]) == 0 then
  redis.call('HSET', KEYS[2], 'part:' .. ARGV[4], redis.call('HINCRBY', KEYS[2], 'parts', 1))
end
for place = 5, #ARGV, 2 do
  redis.call('HSET', KEYS[3], ARGV[place], ARGV[place + 1])
end
return 1
"""
)
"""Store totals, the part's name and the last seq by attempt. Keys: leader, checkpoint, durable.

Args: epoch, nonce, totals, part name (or ""), then attempt and seq in turn. 1: stored; -1: not leading.
The checkpoint then holds `totals`, `parts` (how many) and `part:NAME` -> place in order, from 1.
"""

LEAD_FINISH = (
    _LEADS
    + """
for place = 6, #ARGV, 2 do
  redis.call('HSET', KEYS[6], ARGV[place], ARGV[place + 1])
end
redis.call('HSET', KEYS[4], '*', '-')
redis.call('DEL', KEYS[5])
for place = 4, #KEYS do
  redis.call('EXPIRE', KEYS[place], ARGV[5])
end
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])
redis.call('ZREM', KEYS[2], ARGV[3])
return 1
"""
)
"""Close a campaign: results stored, nothing of it claimed or renewed any more, its keys bound to expire.

Keys: leader, campaigns, finished, claims, leases, results, then others of the campaign that expire. Args:
epoch, nonce, campaign, end in s, seconds until it is forgotten, then name and body of each result.
1, or -1: not leading.
"""
