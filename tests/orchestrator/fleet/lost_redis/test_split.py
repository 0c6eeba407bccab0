"""A primary that is cut off from its replica goes on with those who reach it; its answers are lost."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from workers.contract import facts as f

LOGIN = ("requirepass secret", "masterauth secret")
CUT_S = 6.0
"""After the second leader leads: two primaries take writes."""
FENCE_S = 4.0


@dataclass
class Split:
    """A primary behind a relay, which all use; its replica and their Sentinel, `asked` through another."""

    url: str
    primary: Any
    replica: Any
    sentinel: Any
    way: Any
    asked: Any

    def resume(self) -> None:
        pass

    def cut_off(self, *, there: tuple[Any, ...] = (), here: tuple[Any, ...] = ()) -> None:
        """The primary, with those who are `here`, from its replica, Sentinel and those who are `there`."""
        pids = (self.replica.process.pid, self.sentinel.process.pid)
        self.asked.cut_for = tuple(one.popen.pid for one in here)
        self.way.cut_for = (*pids, *(one.popen.pid for one in there))

    def heal(self) -> None:
        self.way.cut_for = self.asked.cut_for = ()


@pytest.fixture
def split(redis_server, relay, until) -> Callable[[], Split]:
    """Starts one."""

    def start() -> Split:
        primary = redis_server(*LOGIN)
        way = relay(primary.port)
        replica = redis_server(*LOGIN, f"replicaof 127.0.0.1 {way.port}")
        watches = (
            f"sentinel monitor fleet 127.0.0.1 {way.port} 1", "sentinel auth-pass fleet secret",
            "sentinel down-after-milliseconds fleet 5000", "sentinel failover-timeout fleet 5000",
        )  # fmt: skip
        # Sentinel asks who follows as it starts, and then every ten seconds
        with redis.Redis("127.0.0.1", primary.port, password="secret") as asked:
            until(lambda: asked.info("replication").get("slave0", {}).get("state") == "online")
        sentinel = redis_server(*watches, flags=("--sentinel",))
        with redis.Redis("127.0.0.1", sentinel.port) as asked:
            until(lambda: asked.info("sentinel")["master0"]["slaves"] == 1)
        asked = relay(sentinel.port)
        url = f"sentinel://:secret@127.0.0.1:{asked.port}/fleet"
        return Split(url, primary, replica, sentinel, way, asked)

    return start


def finished(campaign) -> bool:
    with suppress(redis.RedisError):  # while nobody is primary
        return campaign.finished()
    return False


def promote(place, until) -> None:
    """The failover, sooner than Sentinel would begin it."""
    with redis.Redis("127.0.0.1", place.sentinel.port) as sentinel:
        sentinel.execute_command("SENTINEL", "FAILOVER", "fleet")
    with redis.Redis("127.0.0.1", place.replica.port, password="secret") as asked:
        until(lambda: asked.info("replication")["role"] == "master")


def test_what_was_written_to_the_cut_off_primary_is_said_again_and_no_arrival_is_missing(
    split, fleet_on, until
) -> None:
    place = split()
    fleet = fleet_on(place)
    fleet.ensure(workers=2)
    campaign = fleet.submit("cut", fence="20s", duration="11s")
    campaign.fact(f.PhaseStarted)
    until(lambda: len(campaign.log()) > 100)
    place.cut_off()
    promote(place, until)
    time.sleep(3.0)  # snapshots and parts that only the old one hears of
    place.heal()
    until(lambda: finished(campaign), within_s=90.0)
    report = campaign.report()
    counts = campaign.agrees(report)
    assert report["verdict"] == "pass", report["reasons"]
    assert counts["unknown"] == counts["unsent"] == 0
    assert campaign.facts(f.Lost) == []


def test_two_leaders_on_two_primaries_offer_no_arrival_twice(split, fleet_on, until) -> None:
    place = split()
    fleet = fleet_on(place)
    fleet.ensure(coordinators=2, workers=2)
    campaign = fleet.submit("twice", fence=f"{FENCE_S:g}s", duration="15s")
    campaign.fact(f.PhaseStarted)
    until(lambda: len(campaign.log()) > 100)
    old = fleet.leader()
    (standby,) = [one for one in fleet.coordinators if one is not old]
    here, there = (fleet.workers[campaign.state().last_attempt("twice", shard).worker] for shard in (0, 1))
    place.cut_off(here=(old, here), there=(standby, there))
    promote(place, until)
    until(lambda: standby.said("leading, epoch"))
    time.sleep(CUT_S)
    assert old.alive()
    place.heal()
    until(lambda: finished(campaign), within_s=90.0)
    report = campaign.report()
    counts = campaign.agrees(report)
    assert counts["unsent"] > 0, "whoever no replica confirms falls silent"
    campaign.states_gaps(report)
    assert len(campaign.facts(f.PhaseStarted)) == 1
    for process in (*fleet.coordinators, *fleet.workers.values()):
        assert process.alive()
        assert not process.said("Traceback"), process.log.read_text()
