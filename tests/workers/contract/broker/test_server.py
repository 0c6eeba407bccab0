"""What a process that starts asks of its Redis, and what it says where that will not do."""

import logging
import socket
import threading
import time

import pytest
import redis

from workers.contract.broker.permits import ROLES
from workers.contract.broker.server import BrokerError, await_server

WITHIN_S = 10.0


@pytest.mark.parametrize("role", ROLES)
def test_a_server_that_will_do_is_taken_at_once(redis_server, kind_of_server, role):
    server = redis_server("requirepass sesame", kind=kind_of_server)
    began_s = time.monotonic()
    assert await_server(server.url(":sesame"), role=role, stop=threading.Event(), worker="w1")
    assert time.monotonic() - began_s < 3.0
    with redis.Redis.from_url(server.url(":sesame")) as client:
        assert client.dbsize() == 0


def test_a_server_that_comes_later_is_waited_for_and_the_wait_can_be_ended(redis_server, caplog):
    server = redis_server()
    server.kill()
    stop, answers = threading.Event(), []
    waits = threading.Thread(
        target=lambda: answers.append(await_server(server.url(), role="worker", stop=stop))
    )
    with caplog.at_level(logging.WARNING):
        waits.start()
        until_s = time.monotonic() + WITHIN_S
        while "nothing listens there" not in caplog.text:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        stop.set()
        waits.join(WITHIN_S)
    assert answers == [False]


def test_what_cannot_heal_is_said_at_once(redis_server, kind_of_server):
    acl = "user ada on >sesame ~shakeout:* ~_kombu.binding.* ~unacked* &* +@all -xadd -brpop"
    server = redis_server("requirepass sesame", acl, kind=kind_of_server)
    cases = {
        server.url(":wrong"): "the password of the default user is wrong",
        server.url(): "it wants a password and the address has none",
        server.url(
            "ada:sesame"
        ): "user ada may not run xadd, brpop and use the keys *.dq2*, as a worker must: "
        "ask the server's administrator for ACL SETUSER ada +xadd +brpop ~*.dq2*",
    }
    for url, expected in cases.items():
        with pytest.raises(BrokerError) as refused:
            await_server(url, role="worker", stop=threading.Event(), worker="w1")
        assert expected in str(refused.value)
        assert "sesame" not in str(refused.value)


def test_a_server_that_is_too_old_is_refused_with_its_version(redis_server, rewriting):
    server = redis_server()
    port = rewriting(server.port, b"redis_version:7.2.4", b"redis_version:6.0.9")
    with pytest.raises(BrokerError, match=r"it is version 6\.0\.9, and Shakeout needs Redis 6\.2 or newer"):
        await_server(f"redis://127.0.0.1:{port}/0", role="worker", stop=threading.Event())


def test_a_cluster_is_refused(redis_server):
    with socket.create_server(("127.0.0.1", 0)) as probe:  # its own choice may lie beyond the last port
        bus = probe.getsockname()[1]
    server = redis_server("cluster-enabled yes", f"cluster-port {bus}")
    with pytest.raises(BrokerError, match="it is a Redis Cluster"):
        await_server(server.url(), role="coordinator", stop=threading.Event())


def test_a_policy_that_evicts_is_warned_of(redis_server, caplog):
    server = redis_server("maxmemory 100mb", "maxmemory-policy allkeys-lru")
    with caplog.at_level(logging.WARNING):
        assert await_server(server.url(), role="coordinator", stop=threading.Event())
    assert "CONFIG SET maxmemory-policy noeviction" in caplog.text
