"""Whether a failover would know of a decision, against a real primary, replica and Sentinel."""

import signal
import time

import pytest
import redis

from orchestrator.store.confirmed import UnconfirmedError, confirm
from workers.contract.broker.connection import client

WITHIN_S = 20.0


def eventually(what) -> None:
    until_s = time.monotonic() + WITHIN_S
    while not what():
        assert time.monotonic() < until_s
        time.sleep(0.05)


def confirms(store) -> bool:
    try:
        confirm(store)
    except UnconfirmedError:
        return False
    return True


def test_a_decision_counts_when_a_replica_has_it_or_there_is_none_to_fail_over_to(redis_server):
    primary = redis_server()
    watches = (
        f"sentinel monitor fleet 127.0.0.1 {primary.port} 1",
        "sentinel down-after-milliseconds fleet 60000",
    )
    sentinel = redis_server(*watches, flags=("--sentinel",))
    with (
        client(f"sentinel://127.0.0.1:{sentinel.port}/fleet") as store,
        redis.Redis("127.0.0.1", primary.port) as asked,
    ):
        store.set("decided", "1")
        confirm(store)  # nobody follows
        replica = redis_server(f"replicaof 127.0.0.1 {primary.port}")
        eventually(lambda: asked.info("replication").get("slave0", {}).get("state") == "online")
        eventually(lambda: confirms(store))
        replica.process.send_signal(signal.SIGSTOP)
        store.set("decided", "2")
        with pytest.raises(UnconfirmedError, match="no replica confirms"):
            confirm(store)
        replica.process.send_signal(signal.SIGCONT)
        eventually(lambda: confirms(store))
        replica.kill()
        store.set("decided", "3")
        eventually(lambda: confirms(store))


def test_a_client_of_a_primary_that_sentinel_has_replaced_leaves_it(redis_server):
    old, new = redis_server(), redis_server()
    sentinel = redis_server(f"sentinel monitor fleet 127.0.0.1 {old.port} 1", flags=("--sentinel",))
    with (
        client(f"sentinel://127.0.0.1:{sentinel.port}/fleet") as store,
        redis.Redis("127.0.0.1", sentinel.port) as asked,
    ):
        store.set("who", "old")
        confirm(store)
        asked.execute_command("SENTINEL", "REMOVE", "fleet")
        asked.execute_command("SENTINEL", "MONITOR", "fleet", "127.0.0.1", str(new.port), "1")
        with pytest.raises(UnconfirmedError):
            confirm(store)
        assert store.get("who") is None
