"""What each role needs to be allowed in Redis: commands, on which keys; and what of it a server refuses.

Asked within MULTI and DISCARD: the server checks every command's permission when it is queued, and then
forgets them all, so nothing is changed. Inside Lua scripts a user's permissions count as well, so the
commands of contract/scripts.py stand here too; those of Celery's transport are kombu's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from workers.contract.broker import names
from workers.contract.broker.trouble import is_lasting
from workers.contract.errors import ContractError

if TYPE_CHECKING:
    import redis

Role = Literal["coordinator", "worker", "submitter", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)

_C = "doctor"  # a campaign, worker and file that never exist
_JOURNAL, _CLAIMS, _LEASES = names.journal(_C), names.claims(_C), names.leases(_C)
_IDS, _RESULTS, _FILE, _SPECS = names.fact_ids(_C), names.results(_C), names.file_chunks(_C), names.specs(_C)
_CONTROL, _CHECKPOINT, _SNAPSHOTS = names.control(_C), names.checkpoint(_C), names.snapshots(_C, _C, 0)
_QUEUE, _BINDING = names.queue(_C), f"_kombu.binding.{names.queue(_C)}"
_LATER = _QUEUE + "\x06\x163"  # kombu's queue of a lower priority, which it looks at too
_EVENTS = f"/0.{names.EVENTS}/worker.online"

NEEDS: Mapping[Role, tuple[str, ...]] = {
    "coordinator": (
        "INFO server", "TIME", "WAIT 0 1", f"EVALSHA 0 1 {names.LEADER}", "SCRIPT LOAD return",
        f"GET {names.RUNS}", f"SET {names.RUNS} v", f"SET {names.live(_C)} v", f"HGETALL {names.HALT}",
        f"GET {names.FLOWER}", f"EXISTS {names.LEADER}", f"HGET {names.LEADER} f", f"HSET {names.LEADER} f v",
        f"PEXPIRE {names.LEADER} 1", f"DEL {names.LEADER}", f"INCR {names.EPOCH}",
        f"ZRANGE {names.CAMPAIGNS} 0 1", f"ZREM {names.CAMPAIGNS} m", f"ZADD {names.FINISHED} 1 m",
        f"ZSCORE {names.FINISHED} m", f"ZREMRANGEBYSCORE {names.FINISHED} -inf 0",
        f"HVALS {names.WORKERS}", f"HGETALL {names.COORDINATORS}", f"HSET {names.COORDINATORS} f v",
        f"HDEL {names.COORDINATORS} f", f"XREAD STREAMS {names.INBOX} 0", f"XREVRANGE {names.INBOX} + -",
        f"XRANGE {_JOURNAL} - +", f"XADD {_JOURNAL} * f v", f"XREVRANGE {_JOURNAL} + -", f"SADD {_IDS} m",
        f"SISMEMBER {_IDS} m", f"HMGET {_LEASES} f", f"HGET {_LEASES} f", f"HDEL {_LEASES} f",
        f"HSETNX {_CLAIMS} f v", f"HGET {_RESULTS} f", f"HSET {_RESULTS} f v",
        f"HINCRBY {_CHECKPOINT} f 1", f"HEXISTS {_CHECKPOINT} f", f"HSET {names.durable(_C)} f v",
        f"HSET {_SPECS} f v", f"EXPIRE {_SPECS} 1", f"XADD {_CONTROL} * f v", f"LINDEX {_FILE} 0",
        f"TTL {_FILE}", f"EXPIRE {_FILE} 1",
        f"XREAD STREAMS {_SNAPSHOTS} 0", f"XTRIM {_SNAPSHOTS} MINID 0-0",
        f"SMEMBERS {_BINDING}", f"SADD {_BINDING} m", f"LPUSH {_QUEUE} v",
        f"LLEN {_LATER}", f"XADD {names.AUDIT} * a v", f"ZADD {names.AUDIT_IDS} 1 m",
        f"ZREMRANGEBYRANK {names.AUDIT_IDS} 0 1", f"SET {names.PRUNED} v",
        f"XRANGE {names.SCHEDULES} - +", f"XDEL {names.SCHEDULES} 0-0", f"XLEN {names.SCHEDULE_LOG}",
        f"XRANGE {names.SCHEDULE_LOG} - +", f"XADD {names.SCHEDULE_LOG} * a v",
        f"ZADD {names.SCHEDULE_LOG_IDS} 1 m", f"ZADD {names.CAMPAIGNS} NX 1 m",
        f"HVALS {names.DRAIN}", f"HDEL {names.WORKERS} f",
    ),
    "worker": (
        "INFO server", "TIME", "WAIT 0 1", f"EVAL return 1 {_CLAIMS}", f"HGETALL {names.HALT}",
        f"HGET {names.DRAIN} f", f"XRANGE {names.LOOKS} - +", f"HSET {names.looked(_C)} f v",
        f"EXPIRE {names.looked(_C)} 1",
        f"EXISTS {names.LEADER}", f"HGET {names.LEADER} f", f"HGET {names.COORDINATORS} f",
        f"GET {names.RUNS}", f"HGET {names.WORKERS} f", f"HSET {names.WORKERS} f v",
        f"HDEL {names.WORKERS} f", f"HGET {_CLAIMS} f", f"HSET {_CLAIMS} f v", f"HEXISTS {_CLAIMS} f",
        f"HSET {_LEASES} f v", f"HEXISTS {_LEASES} f", f"HMGET {names.durable(_C)} f", f"HGET {_SPECS} f",
        f"LINDEX {_FILE} 0", f"SADD {_IDS} m", f"XADD {_JOURNAL} * f v", f"XADD {names.INBOX} * f v",
        f"EXPIRE {names.INBOX} 1",
        f"XADD {_SNAPSHOTS} * f v", f"XLEN {_SNAPSHOTS}", f"XRANGE {_SNAPSHOTS} - +",
        f"XINFO STREAM {_SNAPSHOTS}",
        f"XREAD STREAMS {_CONTROL} 0", f"XDEL {_CONTROL} 0-1", f"BRPOP {_QUEUE} 1", f"SADD {_BINDING} m",
        f"ZSCORE {names.CAMPAIGNS} m", f"XADD {names.NOTICES} * n v", f"PUBLISH {_EVENTS} v",
        f"LLEN {_LATER}", f"LPUSH {_QUEUE} v", "HSET unacked f v", "HGET unacked f", "HDEL unacked f",
        "ZADD unacked_index 1 m", "ZRANGE unacked_index 0 1", "ZREM unacked_index m",
        "SET unacked_mutex v", "GET unacked_mutex", "DEL unacked_mutex", "EVALSHA 0 1 unacked_mutex",
        "SCRIPT LOAD return",
    ),
    "submitter": (
        "INFO server", "TIME", f"EVALSHA 0 1 {_JOURNAL}", "SCRIPT LOAD return", f"EXISTS {_FILE}",
        f"RPUSH {_FILE} v", f"DEL {_FILE}", f"TTL {_FILE}", f"EXPIRE {_FILE} 1",
        f"SADD {_IDS} m", f"XADD {_JOURNAL} * f v", f"XRANGE {_JOURNAL} - +",
        f"XADD {names.INBOX} * f v", f"ZADD {names.CAMPAIGNS} 1 m",
        f"ZRANGE {names.CAMPAIGNS} 0 1", f"ZSCORE {names.CAMPAIGNS} m", f"ZREVRANGE {names.FINISHED} 0 1",
        f"ZREVRANGEBYSCORE {names.FINISHED} 1 0", f"ZSCORE {names.FINISHED} m", f"GET {names.live(_C)}",
        f"HGET {_RESULTS} f", f"HKEYS {_RESULTS}", f"HEXISTS {_RESULTS} f",
        f"PTTL {_RESULTS}", f"HVALS {names.WORKERS}",
        f"HGETALL {names.LEADER}", f"HGETALL {names.COORDINATORS}", f"HGETALL {names.HALT}",
        f"GET {names.FLOWER}", f"XRANGE {names.NOTICES} - +", f"XREVRANGE {names.AUDIT} + -",
        f"GET {names.PRUNED}", f"XADD {names.SCHEDULES} * s v", f"XRANGE {names.SCHEDULES} - +",
        f"XRANGE {names.SCHEDULE_LOG} - +", f"XADD {names.LOOKS} * q v", f"HGETALL {names.looked(_C)}",
    ),
    "operator": (
        f"HSET {names.HALT} f v", f"HSET {names.DRAIN} f v", f"HDEL {names.DRAIN} f", f"HKEYS {names.DRAIN}",
    ),
}  # fmt: skip
"""Role -> commands as it gives them, on keys of the shapes that it uses. An operator may submit as well."""


@dataclass(frozen=True, slots=True)
class Denied:
    """One thing that a role needs and may not. `acl`: what to add to the user's ACL line."""

    command: str
    key: str
    acl: str
    why: str


def denied(client: "redis.Redis", role: Role, *, worker: str = _C) -> tuple[Denied, ...]:
    """What of a role's needs the server refuses this client's user; changes nothing.

    `worker`: whose control stream and queue to ask about.

    Raises redis errors where the server does not answer or know a command, ContractError where it has no
    transactions.
    """
    db = client.connection_pool.connection_kwargs.get("db") or 0
    own = {
        _CONTROL: names.control(worker),
        _QUEUE: names.queue(worker),
        _LATER: _LATER.replace(_C, worker),
        _BINDING: _BINDING.replace(_C, worker),
        _EVENTS: _EVENTS.replace("0", str(db), 1),
    }
    lines = NEEDS[role] if role != "operator" else (*NEEDS["submitter"], *NEEDS["operator"])
    words = [line.split() for line in lines]
    answers = _queued(client, [[own.get(word, word) for word in line] for line in words])
    return tuple(_read(line, error) for line, error in zip(words, answers, strict=True) if error is not None)


def acl_line(user: str, found: tuple[Denied, ...]) -> str:
    """What an administrator types to allow all of it."""
    return " ".join(("ACL SETUSER", user, *dict.fromkeys(one.acl for one in found)))


def listed(found: tuple[Denied, ...]) -> str:
    """What is denied, in a few words."""
    commands = dict.fromkeys(one.command for one in found if one.acl.startswith("+"))
    keys = dict.fromkeys(one.acl[1:] for one in found if one.acl.startswith("~"))
    channels = dict.fromkeys(one.acl[1:] for one in found if one.acl.startswith("&"))
    parts = (("run", commands), ("use the keys", keys), ("publish to", channels))
    return " and ".join(f"{what} {', '.join(these)}" for what, these in parts if these)


def _queued(client: "redis.Redis", needs: list[list[str]]) -> list[Exception | None]:
    """What the server says to queueing each: None where it would run it."""
    from redis.exceptions import NoPermissionError, ResponseError  # noqa: PLC0415  # engines load the contract, and need no redis

    # redis-py's own pipelines stop at the first error
    pool: Any = client.connection_pool
    connection = pool.get_connection()
    try:
        answers: list[Exception | None] = []
        connection.send_packed_command(connection.pack_commands([["MULTI"], *needs, ["DISCARD"]]))
        for _ in range(len(needs) + 2):
            try:
                connection.read_response()
            except ResponseError as error:
                answers.append(error)
            else:
                answers.append(None)
    except BaseException:
        connection.disconnect()  # answers may be on their way that nobody reads any more
        raise
    finally:
        pool.release(connection)
    if answers[0] is not None:
        raise ContractError(f"Redis refuses transactions (MULTI), which Celery needs: {answers[0]}")
    # permissions are checked first: one that is refused because memory is full, say, is permitted
    kept = [answer if answer is not None and is_lasting(answer) else None for answer in answers[1:-1]]
    for answer in kept:
        if answer is not None and not isinstance(answer, NoPermissionError):
            raise answer
    return kept


def _read(words: list[str], error: Exception) -> Denied:
    key = next((word for word in words[1:] if re.match(r"shakeout|unacked|_kombu|.*\.dq2", word)), "")
    command = words[0].lower()
    if command in {"script", "xinfo"}:
        command = f"{command}|{words[1].lower()}"
    if re.search(r"access (?:a|one of the) channel", str(error)):
        return Denied(command, words[1], f"&{words[1].partition('worker')[0]}*", str(error))
    if re.search(r"access (?:a|one of the) key", str(error)):
        return Denied(command, key, f"~{_pattern(key)}", str(error))
    return Denied(command, key, f"+{command}", str(error))


def _pattern(key: str) -> str:
    """All keys of that shape, as an ACL names them."""
    if key == names.NOTICES:
        return key
    if key.startswith(_QUEUE):
        return f"*{names.queue('')}*"
    return key.replace(f"{_C}:0", "*").replace(_C, "*")
