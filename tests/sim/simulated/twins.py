"""The Lua scripts of workers/contract/broker/scripts.py in Python: the same keys, arguments and answers.

tests/sim/test_twins.py runs both on a real server.
"""

import json
from functools import cache

import redis
from simulated.data import as_bytes

from workers.contract.broker import names, scripts


def _leads(data, keys, args):
    return data.hget(keys[0], "epoch") == as_bytes(args[0]) and data.hget(keys[0], "nonce") == as_bytes(
        args[1]
    )


def _now_ms(data):
    seconds, micros = data.time()
    return seconds * 1000 + micros // 1000


def claim(data, keys, args):
    held = data.hget(keys[0], args[0])
    if held is not None:
        return int(held == as_bytes(args[1]))
    now_ms = _now_ms(data)
    if int(args[2]) > 0 and now_ms > int(args[2]):
        return 0
    if data.hexists(keys[0], "*"):
        return 0
    data.hset(keys[0], args[0], args[1])
    data.hset(keys[1], args[0], now_ms)
    return 1


def renew(data, keys, args):
    led = data.exists(names.LEADER)
    answers = []
    for attempt in args:
        if not data.hexists(keys[0], attempt):
            answers.append(-1)
        elif not led:
            answers.append(-2)
        else:
            now_ms = _now_ms(data)
            data.hset(keys[0], attempt, now_ms)
            answers.append(now_ms)
    return answers


def fact(data, keys, args):
    if as_bytes(args[2]) != b"" and data.hget(keys[2], args[2]) != as_bytes(args[3]):
        return -1
    if not data.sadd(keys[1], args[0]):
        return 0
    data.xadd(keys[0], {"f": args[1]})
    data.xadd(keys[3], {"c": args[4]}, maxlen=10_000)
    return 1


def snapshot(data, keys, args):
    if data.hget(keys[1], args[0]) != as_bytes(args[1]) or data.hexists(keys[1], "*"):
        return -1
    try:
        data.xadd(keys[0], {"s": args[3]}, id=args[2])
    except redis.ResponseError:
        return 0
    return 1


def card(data, keys, args):
    old = data.hget(keys[0], args[0])
    if old is not None:
        found = json.loads(old)
        fresh = _now_ms(data) - found["seen_s"] * 1000 < float(args[3])
        if found["incarnation"] != args[1] and fresh:
            return 0
    data.hset(keys[0], args[0], args[2])
    return 1


def card_gone(data, keys, args):
    old = data.hget(keys[0], args[0])
    if old is None or json.loads(old)["incarnation"] != args[1]:
        return 0
    return data.hdel(keys[0], args[0])


def lead_acquire(data, keys, args):
    if data.exists(keys[0]):
        if data.hget(keys[0], "nonce") != as_bytes(args[0]):
            return 0
        data.pexpire(keys[0], args[1])
        return int(data.hget(keys[0], "epoch"))
    epoch = data.incr(keys[1])
    if len(args) > 2 and epoch <= int(args[2]):
        epoch = int(args[2]) + 1
        data.set(keys[1], epoch)
    data.hset(keys[0], "epoch", epoch)
    data.hset(keys[0], "nonce", args[0])
    data.pexpire(keys[0], args[1])
    return epoch


def lead_renew(data, keys, args):
    if not _leads(data, keys, args):
        return -1
    data.pexpire(keys[0], args[2])
    return 1


def lead_release(data, keys, args):
    if not _leads(data, keys, args):
        return -1
    data.delete(keys[0])
    return 1


def lead_append(data, keys, args):
    if not _leads(data, keys, args):
        return -1
    newest = data.xrevrange(keys[1], count=1)
    if (newest[0][0] if newest else b"0-0") != as_bytes(args[2]):
        return -2
    before = [as_bytes(id_) for id_ in args[3::2] if data.sismember(keys[2], id_)]
    if before:
        return [-3, *before]
    entries = []
    for id_, body in zip(args[3::2], args[4::2], strict=True):
        data.sadd(keys[2], id_)
        entries.append(data.xadd(keys[1], {"f": body}))
    return entries


def lead_restore(data, keys, args):
    if not _leads(data, keys, args):
        return -1
    newest = data.xrevrange(keys[1], count=1)
    last = newest[0][0] if newest else b"0-0"
    if last != as_bytes(args[2]):
        return -2
    for entry, id_, body in zip(args[3::3], args[4::3], args[5::3], strict=True):
        try:
            last = data.xadd(keys[1], {"f": body}, id=entry)
        except redis.ResponseError:
            last = data.xadd(keys[1], {"f": body})
        if as_bytes(id_):
            data.sadd(keys[2], id_)
    return last


def audit(data, keys, args):
    if not _leads(data, keys, args):
        return -1
    if data.zscore(keys[2], args[2]) is not None:
        return 0
    data.zadd(keys[2], {args[2]: args[3]})
    data.xadd(keys[1], {"a": args[4]})
    return 1


def lead_store(data, keys, args):
    if not _leads(data, keys, args):
        return -1
    before = (data.hget(keys[1], args[2]) or b"") if as_bytes(args[3]) != b"0" else b""
    if len(before) != int(args[3]):
        return -2
    data.hset(keys[1], args[2], before + as_bytes(args[4]))
    data.expire(keys[1], args[5])
    return 1


def lead_revoke(data, keys, args):
    if not _leads(data, keys, args):
        return -1
    held = data.hget(keys[1], args[2]) or b""
    if as_bytes(args[3]) not in (b"*", held):
        return 0
    data.hsetnx(keys[2], args[2], "-")
    data.hdel(keys[1], args[2])
    return 1


def lead_order(data, keys, args):
    if not _leads(data, keys, args):
        return -1
    for key, order in zip(keys[1:], args[4:], strict=True):
        data.xadd(key, {"o": order})
        data.expire(key, args[3])
    return 1


def checkpoint(data, keys, args):
    if not _leads(data, keys, args):
        return -1
    data.hset(keys[1], "totals", args[2])
    part = as_bytes(args[3])
    if part and not data.hexists(keys[1], b"part:" + part):
        data.hset(keys[1], b"part:" + part, data.hincrby(keys[1], "parts", 1))
    for attempt, seq in zip(args[4::2], args[5::2], strict=True):
        data.hset(keys[2], attempt, seq)
    return 1


def lead_finish(data, keys, args):
    if not _leads(data, keys, args):
        return -1
    for name, body in zip(args[5::2], args[6::2], strict=True):
        data.hset(keys[5], name, body)
    data.hset(keys[3], "*", "-")
    data.delete(keys[4])
    for key in keys[3:]:
        data.expire(key, args[4])
    data.zadd(keys[2], {args[2]: args[3]})
    data.zrem(keys[1], args[2])
    return 1


TWINS = {
    "CLAIM": claim,
    "RENEW": renew,
    "FACT": fact,
    "SNAPSHOT": snapshot,
    "CARD": card,
    "CARD_GONE": card_gone,
    "LEAD_ACQUIRE": lead_acquire,
    "LEAD_RENEW": lead_renew,
    "LEAD_RELEASE": lead_release,
    "LEAD_APPEND": lead_append,
    "LEAD_ORDER": lead_order,
    "LEAD_RESTORE": lead_restore,
    "LEAD_REVOKE": lead_revoke,
    "LEAD_STORE": lead_store,
    "AUDIT": audit,
    "CHECKPOINT": checkpoint,
    "LEAD_FINISH": lead_finish,
}


@cache
def twin_of(text):
    """What does the same as this script; who calls one without a twin is told to write it."""
    for name, twin in TWINS.items():
        if getattr(scripts, name, None) == text:
            return twin

    def missing(*_):
        raise LookupError(f"tests/sim/simulated/twins.py has no twin of this script; write it:\n{text}")

    return missing
