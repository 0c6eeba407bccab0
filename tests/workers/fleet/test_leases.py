"""What a renewing thread tells the attempts that run, on a real server."""

import queue
import time

import pytest
import redis

from workers.clock import CommonClock
from workers.contract.broker import names
from workers.fleet.drain import Drain
from workers.fleet.leases import Authorised, Held, Leases
from workers.gpus import Devices
from workers.inventory import blank_card
from workers.link import Link
from workers.settings import parse

WITHIN_S = 20.0


@pytest.fixture
def leases(redis_client, shared_valkey, tmp_path):
    """Leases of a worker under a leader, for an attempt of a campaign that lives."""
    redis_client.hset(names.LEADER, mapping={"epoch": "1", "nonce": "n"})
    redis_client.zadd(names.CAMPAIGNS, {"c": time.time()})
    redis_client.hset(names.leases("c"), "a:0:1", "1")
    told = {"SHAKEOUT_BROKER": shared_valkey.url, "SHAKEOUT_HOME": str(tmp_path)}
    settings = parse(["--name", "w1"], told)
    link = Link(settings, incarnation="i", clock=CommonClock())
    card = blank_card(settings, "i")
    made = Leases(link, card=card, devices=Devices, drain=Drain())
    made.start()
    yield made
    made.close()


def test_what_was_renewed_is_told_though_the_clock_cannot_be_measured(leases, monkeypatch):
    tried = []

    def measure(source, *, server):
        tried.append(server)
        raise redis.TimeoutError

    monkeypatch.setattr(leases._link.clock, "measure", measure)
    leases._measured_s = float("-inf")
    told: queue.SimpleQueue = queue.SimpleQueue()
    leases.hold(Held("c", "a:0:1", 10.0, told.put))
    first, second = (told.get(timeout=WITHIN_S) for _ in range(2))
    assert isinstance(first, Authorised)
    assert second.until_ns > first.until_ns
    assert tried
