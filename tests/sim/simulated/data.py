"""What a Redis server holds, command by command as redis-py answers them, and how writes of late are undone.

Only what the product uses. Every write leaves its inverse, so that a failover can forget what it
acknowledged.
"""

from collections import deque

import redis

# ruff: noqa: A002, FBT002  # names and defaults are redis-py's

REMEMBERED_S = 12.0
"""How old a write may be that a failover still forgets."""


def as_bytes(value):
    """A value as Redis keeps it."""
    if isinstance(value, bytes):
        return value
    return str(value).encode()


class Stream:
    """Entries in order: ids as (ms, number), bodies as field -> value."""

    __slots__ = ("bodies", "ids", "last")

    def __init__(self):
        self.ids, self.bodies, self.last = [], [], (0, 0)

    def after(self, place):
        """Position of the first entry whose id is beyond this."""
        for at in range(len(self.ids), 0, -1):
            if self.ids[at - 1] <= place:
                return at
        return 0


def id_bytes(place):
    """A stream id on the wire."""
    return b"%d-%d" % place


def id_place(text, *, number=0):
    """A stream id as a pair; `number` where it has only milliseconds."""
    text = text.decode() if isinstance(text, bytes) else str(text)
    ms, _, rest = text.partition("-")
    return int(ms), int(rest) if rest else number


class Data:
    """Keys and values; `clock` says the server's time in seconds. `added`: told of (key, body) of each XADD;
    `replaced`: of (key, field, value before) of each HSET that puts another value in a field's place.
    """

    def __init__(self, clock, added=None, replaced=None):
        self.clock = clock
        self.keys = {}
        self.expires = {}
        self.inverses = deque()
        self.kept = 0
        self.stalled = self.emptied = False
        self.added = added or (lambda key, body: None)
        self.replaced = replaced or (lambda key, field, before: None)

    # forgetting

    def forget(self, since_s):
        """Undo every write since this moment that no WAIT has covered; how many."""
        count = 0
        while len(self.inverses) > self.kept and self.inverses[-1][0] >= since_s:
            _, undo = self.inverses.pop()
            undo()
            count += 1
        self.inverses.clear()
        self.kept = 0
        return count

    def empty(self):
        """It starts without its data."""
        self.keys.clear()
        self.expires.clear()
        self.inverses.clear()
        self.kept = 0
        self.emptied = True

    def wait(self, replicas, timeout):
        """How many replicas have all writes so far: one, unless it has stalled."""
        if self.stalled:
            return 0
        self.kept = len(self.inverses)
        return 1

    def _did(self, undo):
        now_s = self.clock()
        inverses = self.inverses
        inverses.append((now_s, undo))
        while inverses and inverses[0][0] < now_s - REMEMBERED_S:
            inverses.popleft()
            self.kept -= 1 if self.kept else 0

    def _get(self, key):
        key = key.decode() if isinstance(key, bytes) else key
        until_s = self.expires.get(key)
        if until_s is not None and self.clock() >= until_s:
            self.delete(key)
        return self.keys.get(key)

    def _made(self, key, kind):
        found = self._get(key)
        if found is None:
            found = self.keys[key] = kind()
            self._did(lambda: self.keys.pop(key, None))
        return found

    def __getattr__(self, name):
        raise AttributeError(
            f"tests/sim/simulated/data.py has no {name} yet: write it as redis-py answers it"
        )

    # keys

    def time(self):
        now_us = round(self.clock() * 1e6)
        return now_us // 1_000_000, now_us % 1_000_000

    def exists(self, key):
        return int(self._get(key) is not None)

    def delete(self, *keys):
        count = 0
        for key in keys:
            if key in self.keys:
                value, until_s = self.keys.pop(key), self.expires.pop(key, None)
                self._did(lambda key=key, value=value, until_s=until_s: self._put(key, value, until_s))
                count += 1
        return count

    def _put(self, key, value, until_s):
        self.keys[key] = value
        if until_s is not None:
            self.expires[key] = until_s

    def pexpire(self, key, lives_ms):
        if self._get(key) is None:
            return 0
        before = self.expires.get(key)
        self.expires[key] = self.clock() + int(lives_ms) / 1000
        self._did(lambda: self.expires.__setitem__(key, before) if before else self.expires.pop(key, None))
        return 1

    def expire(self, key, lives_s):
        return self.pexpire(key, int(lives_s) * 1000)

    def ttl(self, key):
        if self._get(key) is None:
            return -2
        until_s = self.expires.get(key)
        return -1 if until_s is None else round(until_s - self.clock())

    def get(self, key):
        return self._get(key)

    def set(self, key, value, ex=None):
        before = self._get(key)
        self.keys[key] = as_bytes(value)
        self._did(
            lambda: self.keys.__setitem__(key, before) if before is not None else self.keys.pop(key, None)
        )
        if ex is not None:
            self.expire(key, ex)
        return True

    def incr(self, key):
        self.set(key, int(self._get(key) or 0) + 1)
        return int(self.keys[key])

    # hashes

    def hget(self, key, field):
        return (self._get(key) or {}).get(as_bytes(field))

    def hmget(self, key, fields):
        found = self._get(key) or {}
        return [found.get(as_bytes(field)) for field in fields]

    def hgetall(self, key):
        return dict(self._get(key) or {})

    def hkeys(self, key):
        return list(self._get(key) or {})

    def hvals(self, key):
        return list((self._get(key) or {}).values())

    def hlen(self, key):
        return len(self._get(key) or {})

    def hexists(self, key, field):
        return int(as_bytes(field) in (self._get(key) or {}))

    def hset(self, key, field=None, value=None, mapping=None):
        pairs = dict(mapping or {}) if field is None else {field: value}
        found = self._made(key, dict)
        for given, said in pairs.items():
            name = as_bytes(given)
            before = found.get(name)
            found[name] = as_bytes(said)
            if before is not None and before != found[name]:
                self.replaced(key, name, before)
            self._did(
                lambda name=name, before=before: (
                    found.__setitem__(name, before) if before is not None else found.pop(name, None)
                )
            )
        return len(pairs)

    def hsetnx(self, key, field, value):
        if self.hexists(key, field):
            return 0
        return self.hset(key, field, value)

    def hincrby(self, key, field, more):
        self.hset(key, field, int(self.hget(key, field) or 0) + more)
        return int(self.hget(key, field))

    def hdel(self, key, *fields):
        found = self._get(key)
        count = 0
        for field in fields:
            name = as_bytes(field)
            if found and name in found:
                before = found.pop(name)
                self._did(lambda name=name, before=before: found.__setitem__(name, before))
                count += 1
        if found is not None and not found:
            self.delete(key)
        return count

    # sets

    def sadd(self, key, *members):
        found = self._made(key, set)
        count = 0
        for member in members:
            name = as_bytes(member)
            if name not in found:
                found.add(name)
                self._did(lambda name=name: found.discard(name))
                count += 1
        return count

    def sismember(self, key, member):
        return int(as_bytes(member) in (self._get(key) or ()))

    def zadd(self, key, pairs):
        found = self._made(key, dict)
        for member, score in pairs.items():
            name, before = as_bytes(member), found.get(as_bytes(member))
            found[name] = float(score)
            self._did(
                lambda name=name, before=before: (
                    found.__setitem__(name, before) if before is not None else found.pop(name, None)
                )
            )

    def zrem(self, key, *members):
        return self.hdel(key, *members)

    def zscore(self, key, member):
        return (self._get(key) or {}).get(as_bytes(member))

    def zrange(self, key, first, last, withscores=False):
        found = sorted((self._get(key) or {}).items(), key=lambda pair: (pair[1], pair[0]))
        some = found[first : len(found) if last == -1 else last + 1]
        return [(name, score) for name, score in some] if withscores else [name for name, _ in some]

    # lists

    def rpush(self, key, value):
        found = self._made(key, list)
        found.append(value)
        self._did(lambda: found.remove(value) if value in found else None)
        return len(found)

    def lpop(self, key):
        found = self._get(key)
        if not found:
            return None
        value = found.pop(0)
        self._did(lambda: found.insert(0, value))
        return value

    # streams

    def xadd(self, key, fields, id="*", maxlen=None, approximate=True):
        stream = self._made(key, Stream)
        if id == "*":
            ms = int(self.clock() * 1000)
            place = (ms, 0) if ms > stream.last[0] else (stream.last[0], stream.last[1] + 1)
        else:
            place = id_place(id)
            if place <= stream.last:
                raise redis.ResponseError(
                    "The ID specified in XADD is equal or smaller than the target stream top item"
                )
        before = stream.last
        stream.ids.append(place)
        stream.bodies.append({as_bytes(name): as_bytes(said) for name, said in fields.items()})
        stream.last = place

        def undo():
            if place in stream.ids:
                at = stream.ids.index(place)
                del stream.ids[at], stream.bodies[at]
            stream.last = before

        self._did(undo)
        self.added(key, stream.bodies[-1])
        return id_bytes(place)

    def xdel(self, key, *ids):
        stream = self._get(key)
        for id_ in ids:
            place = id_place(id_)
            if stream is not None and place in stream.ids:
                self._cut(stream, stream.ids.index(place), 1)
        return len(ids)

    def xtrim(self, key, minid=None, approximate=True, maxlen=None):
        stream = self._get(key)
        if stream is None or minid is None:
            return 0
        ms, number = id_place(minid)
        count = stream.after((ms, number - 1))
        if count:
            self._cut(stream, 0, count)
        return count

    def _cut(self, stream, at, count):
        ids, bodies = stream.ids[at : at + count], stream.bodies[at : at + count]
        del stream.ids[at : at + count], stream.bodies[at : at + count]

        def undo():
            stream.ids[at:at], stream.bodies[at:at] = ids, bodies

        self._did(undo)

    def xlen(self, key):
        stream = self._get(key)
        return len(stream.ids) if stream is not None else 0

    def xrange(self, key, min="-", max="+", count=None):
        stream = self._get(key)
        if stream is None:
            return []
        first = 0
        if min != "-":
            text = str(min)
            ms, number = id_place(text.lstrip("("))
            first = stream.after((ms, number) if text.startswith("(") else (ms, number - 1))
        last = len(stream.ids) if max == "+" else stream.after(id_place(max, number=2**63))
        rows = zip(stream.ids[first:last][:count], stream.bodies[first:last][:count], strict=True)
        return [(id_bytes(place), body) for place, body in rows]

    def xrevrange(self, key, max="+", min="-", count=None):
        return self.xrange(key)[::-1][:count]

    def xread(self, streams, count=None, block=None):
        found = []
        for key, after in streams.items():
            stream = self._get(key)
            if stream is None or (after == "$"):
                continue
            first = stream.after(id_place(after))
            rows = list(zip(stream.ids[first:], stream.bodies[first:], strict=True))[:count]
            if rows:
                found.append([as_bytes(key), [(id_bytes(place), body) for place, body in rows]])
        return found

    def xinfo_stream(self, key):
        stream = self._get(key)
        if stream is None:
            raise redis.ResponseError("no such key")
        return {"last-generated-id": id_bytes(stream.last)}
