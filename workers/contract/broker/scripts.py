"""The Lua scripts by which both sides change Redis: each is one step that either happens whole or not at all.

Keys and arguments stand in each docstring, in order. Times are Redis TIME in ms. Scripts of the leader begin
by proving the lead, so a coordinator that stalled and lost it can change nothing.
"""

from workers.contract.broker import names

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_LEADS = """
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] or redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[2] then
  return -1
end
"""

_OVERDRAWS = """
redis.call('HDEL', KEYS[1], '-')
"""
"""A write that takes no room, before those that do: a server that is full refuses a script only at its first.

What keeps campaigns going, and ends them, must not wait for room; results may, and a heap of snapshots.
"""

_UNMOVED = """
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
local last_id = last[1] and last[1][1] or '0-0'
if last_id ~= ARGV[3] then return -2 end
"""
"""Whoever writes has read the journal (KEYS[2]) to its end (ARGV[3])."""

CLAIM = (
    _NOW
    + _OVERDRAWS
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
    + _OVERDRAWS
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

FINISHED_KEPT_S = 30 * 24 * 3600
"""How long Redis knows that a campaign has ended: longer than any signature on a submission counts."""
INBOX_KEPT_S = 7 * 24 * 3600
"""Since the last fact: the inbox only wakes leaders."""

FACT = f"""
if ARGV[1] ~= 'submitted' then redis.call('EXPIRE', KEYS[4], {INBOX_KEPT_S}) end
if ARGV[3] ~= '' and redis.call('HGET', KEYS[3], ARGV[3]) ~= ARGV[4] then return -1 end
if redis.call('SADD', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[1], '*', 'f', ARGV[2])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 10000, '*', 'c', ARGV[5])
if ARGV[3] ~= '' and not redis.call('ZSCORE', '{names.CAMPAIGNS}', ARGV[5]) then
  redis.call('EXPIRE', KEYS[1], {names.RESULTS_KEPT_S})
  redis.call('EXPIRE', KEYS[2], {names.RESULTS_KEPT_S})
end
return 1
"""
"""Append a worker's or a person's fact. Keys: journal, fact_ids, claims (a person's: any other), inbox.

The first line is a write that takes no room (see `_OVERDRAWS`); a new campaign is not taken by a full server.

Args: fact id, fact as JSON, attempt ("": a person's), incarnation, campaign. 1: appended; 0: a repeat; -1:
the attempt is not (or no longer) this incarnation's. A lease taken away does not matter here: the truth may
arrive late. Of a campaign that does not live (a server that was emptied) nothing stays for ever.
"""

SNAPSHOTS_OVERDRAWN = 20
"""Snapshots that a stream takes although memory is full: the leader trims it every 5 s while all is well."""

SNAPSHOT = (
    """
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return -1 end
if redis.call('HEXISTS', KEYS[2], '*') == 1 then return -1 end
"""
    f"if redis.call('XLEN', KEYS[1]) < {SNAPSHOTS_OVERDRAWN} then redis.call('HDEL', KEYS[2], '-') end"
    """
local answer = redis.pcall('XADD', KEYS[1], ARGV[3], 's', ARGV[4])
if type(answer) == 'table' and answer['err'] then
  if string.find(answer['err'], 'equal or smaller') then return 0 end
  return answer
end
return 1
"""
)
"""Append a snapshot; answers as FACT, and -1 where the campaign has ended.

Keys: snapshots, claims. Args: attempt, incarnation, id, snapshot.
"""

CARD = (
    _NOW
    + _OVERDRAWS
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
redis.call('DEL', KEYS[1])
local epoch = redis.call('INCR', KEYS[2])
if ARGV[3] and epoch <= tonumber(ARGV[3]) then
  epoch = tonumber(ARGV[3]) + 1
  redis.call('SET', KEYS[2], string.format('%.0f', epoch))
end
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch), 'nonce', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return epoch
"""
"""Take the lead. Keys: leader, epoch. Args: nonce, lease in ms, highest epoch known (may be left out).

The epoch, from 1 and higher than any known: a server that lost its last writes must not give the same one
twice. 0: somebody else leads. The DEL deletes nothing (see `_OVERDRAWS`).
"""

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
    + _OVERDRAWS
    + _UNMOVED
    + """
local before = {-3}
for place = 4, #ARGV, 2 do
  if redis.call('SISMEMBER', KEYS[3], ARGV[place]) == 1 then before[#before + 1] = ARGV[place] end
end
if #before > 1 then return before end
local entries = {}
for place = 4, #ARGV, 2 do
  redis.call('SADD', KEYS[3], ARGV[place])
  entries[#entries + 1] = redis.call('XADD', KEYS[2], '*', 'f', ARGV[place + 1])
end
return entries
"""
)
"""Append decisions, all or none. Keys: leader, journal, fact_ids.

Args: epoch, nonce, id of the last entry folded ("0-0": none), then fact id and fact as JSON of each.

The new entries' ids; -1: not leading; -2: the journal has grown since (read again); a list of -3 and the ids
of facts that were decided before: nothing was appended.
"""

LEAD_REVOKE = (
    _LEADS
    + _OVERDRAWS
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

AUDIT = (
    _LEADS
    + """
if redis.call('ZADD', KEYS[3], 'NX', ARGV[4], ARGV[3]) == 0 then return 0 end
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - ARGV[6])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[6], '*', 'a', ARGV[5])
return 1
"""
)
"""Keep an entry of what somebody did, once. Keys: leader, audit, audit ids.

Args: epoch, nonce, the entry's id, its moment in s, the entry, how many are kept. 1: kept; 0: it was before;
-1: not leading.
"""

CHECKPOINT = (
    _LEADS
    + _OVERDRAWS
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

LEAD_STORE = (
    _LEADS
    + """
local before = ''
if ARGV[4] ~= '0' then before = redis.call('HGET', KEYS[2], ARGV[3]) or '' end
if #before ~= tonumber(ARGV[4]) then return -2 end
if ARGV[7] == '1' then redis.call('HDEL', KEYS[1], '-') end
redis.call('HSET', KEYS[2], ARGV[3], before .. ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[6])
return 1
"""
)
"""Store a piece of a result; pieces come one after another, the first replaces whatever was there.

Keys: leader, results. Args: epoch, nonce, name of the result, bytes that came before, piece, seconds until it
is forgotten, "1" if it must be stored although there is no room for it (else it fails then).
1: stored; -1: not leading; -2: the pieces before it are not there.
"""

LEAD_ORDER = (
    _LEADS
    + _OVERDRAWS
    + """
for place = 2, #KEYS do
  redis.call('XADD', KEYS[place], 'MAXLEN', '~', ARGV[3], '*', 'o', ARGV[place + 3])
  redis.call('EXPIRE', KEYS[place], ARGV[4])
end
return 1
"""
)
"""Give orders, all in one step. Keys: leader, then the control stream of each order's worker.

Args: epoch, nonce, how many orders a stream holds, seconds until that of a worker that gets none is
forgotten, then each order as JSON. 1, or -1: not leading.
"""

LEAD_FINISH = (
    _LEADS
    + _OVERDRAWS
    + """
redis.call('HSET', KEYS[4], '*', '-')
redis.call('DEL', KEYS[5])
for place = 4, #KEYS do
  redis.call('EXPIRE', KEYS[place], ARGV[5])
end
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])
redis.call('ZREM', KEYS[2], ARGV[3])
"""
    + f"redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', tonumber(ARGV[4]) - {FINISHED_KEPT_S})\nreturn 1\n"
)
"""Close a campaign whose results are stored: nothing of it is claimed or renewed any more, its keys expire.

Keys: leader, campaigns, finished, claims, leases, then others of the campaign that expire. Args: epoch,
nonce, campaign, end in s, seconds until it is forgotten. 1, or -1: not leading. That a campaign has ended is
remembered for `FINISHED_KEPT_S`.
"""

LEAD_RESTORE = (
    _LEADS
    + _OVERDRAWS
    + _UNMOVED
    + """
for place = 4, #ARGV, 3 do
  local said = redis.pcall('XADD', KEYS[2], ARGV[place], 'f', ARGV[place + 2])
  if type(said) == 'table' then said = redis.call('XADD', KEYS[2], '*', 'f', ARGV[place + 2]) end
  if ARGV[place + 1] ~= '' then redis.call('SADD', KEYS[3], ARGV[place + 1]) end
  last_id = said
end
return last_id
"""
)
"""Write again what stood in a journal and was lost. Keys: leader, journal, fact_ids.

Args: epoch, nonce, id of the journal's last entry ("0-0": none), then of each fact the entry's id as it was
(another is drawn where the journal has gone on), its fact id or "", and the fact as JSON. The last entry's id
now; -1: not leading; -2: the journal has grown since.
"""
