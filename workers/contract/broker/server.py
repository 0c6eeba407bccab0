"""Whether a Redis will do for a process that starts: it answers, is new enough, permits what is needed."""

import logging
import threading
import time

from workers.contract.broker.connection import client, masked, user_of
from workers.contract.broker.permits import Denied, Role, acl_line, denied, listed
from workers.contract.broker.trouble import explain, is_lasting
from workers.contract.errors import ContractError

OLDEST = (6, 2)
"""XTRIM MINID and exclusive ranges of streams came with Redis 6.2; every Valkey says 7.2."""
KEEPS = "noeviction"
"""The only memory policy under which nothing of a campaign disappears."""
SAY_EVERY_S = 10.0
AGAIN_AFTER_S = 1.0

log = logging.getLogger(__name__)


class BrokerError(ContractError):
    """This Redis will not do, and waiting does not help; says why and what to do."""


def await_server(url: str, *, role: Role, stop: threading.Event, worker: str = "") -> bool:
    """Wait until Redis is there and will do; False where `stop` came first. `worker`: name of one.

    Raises BrokerError where it never will: wrong login, a command that is not allowed, too old.
    """
    from redis.exceptions import RedisError  # noqa: PLC0415  # engines load the contract, and need no redis

    said_s = float("-inf")
    with client(url) as redis:
        while not stop.is_set():
            try:
                info = redis.info()
                _check_server(info, url)
                found = denied(redis, role, worker=worker) if worker else denied(redis, role)
                _check_permits(found, role=role, url=url)
            except (RedisError, OSError) as error:
                if is_lasting(error):
                    raise BrokerError(explain(error, url)) from error
                if time.monotonic() - said_s > SAY_EVERY_S:
                    said_s = time.monotonic()
                    log.warning("waiting: %s", explain(error, url))
                stop.wait(AGAIN_AFTER_S)
            else:
                policy = str(info.get("maxmemory_policy", KEEPS))
                if policy != KEEPS:
                    log.warning("Redis at %s: %s", masked(url), evicts(policy))
                return True
    return False


def version_of(info: dict[str, object]) -> tuple[int, ...]:
    """Redis's version as numbers; Valkey says which Redis it is like."""
    text = str(info.get("redis_version", "0"))
    return tuple(int(part) for part in text.split(".") if part.isdecimal())


def too_old(info: dict[str, object]) -> str:
    """What is wrong with the server's version, or nothing."""
    if version_of(info) >= OLDEST:
        return ""
    return (
        f"it is version {info.get('redis_version')}, and Shakeout needs Redis "
        f"{'.'.join(map(str, OLDEST))} or newer, or Valkey: upgrade it"
    )


def is_cluster(info: dict[str, object]) -> bool:
    """Whether it is a Redis Cluster, in which one step cannot touch several keys."""
    return bool(int(str(info.get("cluster_enabled", 0))))


def evicts(policy: str) -> str:
    """What an evicting policy would do, and how to change it."""
    return (
        f"its maxmemory-policy {policy} deletes keys when memory is short, and a campaign with them: "
        f"CONFIG SET maxmemory-policy {KEEPS}, and the same in its configuration file"
    )


def _check_server(info: dict[str, object], url: str) -> None:
    why = too_old(info)
    if not why and is_cluster(info):
        why = (
            "it is a Redis Cluster, in which one step cannot touch several keys: use one without cluster mode"
        )
    if why:
        raise BrokerError(f"Redis at {masked(url)}: {why}")


def _check_permits(found: tuple[Denied, ...], *, role: Role, url: str) -> None:
    if found:
        user = user_of(url)
        raise BrokerError(
            f"Redis at {masked(url)}: user {user} may not {listed(found)}, as a {role} must: "
            f"ask the server's administrator for {acl_line(user, found)}"
        )
