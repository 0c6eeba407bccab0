"""A fleet behind Sentinel: a whole campaign, with TLS too; and the primary killed in the middle of load."""

import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

from workers.contract import facts as f

LOGIN = ("requirepass secret", "masterauth secret")


@dataclass
class Watched:
    """A primary, its replica and a Sentinel; `url` as `--broker` wants it."""

    url: str
    primary: Any
    replica: Any
    sentinel: Any
    resume: Callable[[], None] = field(default=lambda: None)


@pytest.fixture
def watched(redis_server, until) -> Callable[..., Watched]:
    """Starts one; `lines` and `flags` of the address are the same for all three."""

    def start(*lines: str, kind: str = "valkey", options: str = "", **tls: str) -> Watched:
        primary = redis_server(*LOGIN, *lines, kind=kind)
        replica = redis_server(*LOGIN, *lines, f"replicaof 127.0.0.1 {primary.port}", kind=kind)
        watches = (
            f"sentinel monitor fleet 127.0.0.1 {primary.port} 1", "sentinel auth-pass fleet secret",
            "sentinel down-after-milliseconds fleet 1000", "sentinel failover-timeout fleet 5000",
            "requirepass guarded",
        )  # fmt: skip
        sentinel = redis_server(*lines, *watches, kind=kind, flags=("--sentinel",))
        with redis.Redis("127.0.0.1", sentinel.port, password="guarded", **tls) as asked:
            until(lambda: asked.info("sentinel")["master0"]["slaves"] == 1)
        with redis.Redis("127.0.0.1", replica.port, password="secret", **tls) as asked:
            until(lambda: asked.info("replication")["master_link_status"] == "up")
        url = f"sentinel://:secret@127.0.0.1:{sentinel.port}/fleet?sentinel_password=guarded{options}"
        return Watched(url, primary, replica, sentinel)

    return start


def test_tls_to_sentinel_and_servers_carries_a_campaign(watched, fleet_on, authority, tls_lines):
    place = watched(
        *tls_lines(), kind="redis-7", options=f"&ssl=true&ssl_ca_certs={authority['ca']}",
        ssl=True, ssl_ca_certs=authority["ca"],
    )  # fmt: skip
    fleet = fleet_on(place)
    fleet.ensure(workers=2)
    campaign = fleet.submit("brief", duration="1s")
    report = campaign.report()
    assert report["verdict"] == "pass", report["reasons"]
    assert campaign.agrees(report)["unknown"] == 0
    assert not any(process.said("Traceback") for process in fleet.ended)


def test_a_primary_killed_in_the_middle_of_load_costs_no_traceback_and_no_arrival_twice(
    watched, fleet_on, until
):
    place = watched()
    fleet = fleet_on(place)
    fleet.ensure(workers=2)
    campaign = fleet.submit("failover", fence="10s", duration="10s")
    campaign.fact(f.PhaseStarted)
    until(lambda: len(fleet.received()) > 100)
    place.primary.process.send_signal(signal.SIGKILL)

    def finished() -> bool:
        with suppress(redis.RedisError):  # while nobody is primary
            return campaign.finished()
        return False

    until(finished, within_s=90.0)
    report = campaign.report()
    campaign.agrees(report)
    assert report["verdict"] in {"pass", "invalid"}, report["reasons"]
    for process in (*fleet.coordinators, *fleet.workers.values()):
        assert process.alive()
        assert not process.said("Traceback"), process.log.read_text()
        assert "Connection(" not in process.log.read_text(), "a log shows what redis-py prints of itself"
