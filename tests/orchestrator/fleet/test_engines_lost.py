"""Engines that crash, hang, run out of memory and crash again and again: each costs a gap that is told."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from workers.contract import facts as f
from workers.engine_process import killed_for_memory

SPARE_BYTES = 2 * 1024 * 1024
"""What an engine may still take once its memory is limited: it works for a moment and then gets no more."""
HANGS_S = 10.0
"""An engine that says nothing for so long hangs."""
MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")


def loads(campaign, until, *, more_than: int = 50) -> None:
    until(lambda: len(campaign.log()) > more_than)


def numbers(campaign) -> set[str]:
    """Of the attempts whose requests the target has seen."""
    return {line["id"].rsplit("/", 1)[1] for line in campaign.log()}


def are(campaign, *wanted: str) -> bool:
    """Whether the newest attempts at the first shards stand so; one that waits for the target is claimed."""
    state = campaign.state()
    found = [state.last_attempt(campaign.name, shard) for shard in range(len(wanted))]
    return [one and one.status.replace("waiting", "claimed") for one in found] == list(wanted)


def test_engines_that_crash_together_are_replaced_and_each_gap_is_stated(fleet, until) -> None:
    fleet.ensure()
    campaign = fleet.submit("engines-crash", shards=3, duration="6s", fence="10s")
    loads(campaign, until)
    for shard, number in ((0, signal.SIGKILL), (1, signal.SIGSEGV)):
        campaign.engine(f"engines-crash:{shard}:1").send_signal(number)
    report = campaign.report()
    counts = campaign.agrees(report)
    assert counts["unknown"] <= 2, "one of each that was just being written"
    assert counts["unsent"] > 0
    whys = {gap["shard"]: gap["why"] for gap in campaign.states_gaps(report)}
    assert whys == {
        0: "engine exited with signal 9 (SIGKILL)",
        1: "engine exited with signal 11 (SIGSEGV)",
    }
    assert numbers(campaign) == {"1", "2"}
    campaign.each_said_once()


def test_engines_that_die_or_hang_before_the_start_are_replaced_and_nothing_is_missing(fleet, until) -> None:
    fleet.ensure()
    fleet.aim.signal(signal.SIGSTOP)  # so shard 0 waits for the target, and shard 1 is ready
    campaign = fleet.submit("engines-early", duration="2s")
    until(lambda: are(campaign, "claimed", "ready"))
    campaign.engine("engines-early:0:1").suspend()
    campaign.engine("engines-early:1:1").kill()
    until(lambda: len(campaign.facts(f.Exited)) == 2, within_s=3 * HANGS_S)
    assert {one.why for one in campaign.facts(f.Exited)} == {
        "engine said nothing for 10 s and was ended",
        "engine exited with signal 9 (SIGKILL)",
    }
    until(lambda: are(campaign, "claimed", "ready"))
    fleet.aim.signal(signal.SIGCONT)
    report = campaign.report()
    counts = campaign.agrees(report)
    assert counts["unknown"] == counts["unsent"] == 0
    assert report["activities"]["engines-early"]["coverage"] == 1
    assert numbers(campaign) == {"2"}


def test_an_engine_that_hangs_under_load_is_ended_and_replaced_and_the_gap_is_stated(fleet, until) -> None:
    fleet.ensure()
    campaign = fleet.submit("engine-hangs", duration="13s", rate="30/s")
    loads(campaign, until, more_than=20)
    campaign.engine("engine-hangs:1:1").suspend()
    report = campaign.report(within_s=60)
    counts = campaign.agrees(report)
    assert counts["unknown"] <= 1
    (gap,) = campaign.states_gaps(report)
    assert (gap["shard"], gap["why"]) == (1, "engine said nothing for 10 s and was ended")
    assert gap["until_s"] - gap["from_s"] > HANGS_S - 1


def test_an_engine_that_gets_no_more_memory_ends_and_what_it_sent_is_known(fleet, until) -> None:
    fleet.ensure()
    campaign = fleet.submit("no-memory", duration="8s", rate="200/s", fence="10s")
    loads(campaign, until)
    engine = campaign.engine("no-memory:0:1")
    limit = engine.memory_info().vms + SPARE_BYTES
    engine.rlimit(psutil.RLIMIT_AS, (limit, limit))
    report = campaign.report()
    counts = campaign.agrees(report)
    campaign.states_gaps(report)
    assert counts["unknown"] <= 1
    ended = [one for one in campaign.facts(f.Exited) if one.attempt == "no-memory:0:1"]
    assert [one.outcome for one in ended] in (["done"], ["error"], ["died"]), ended


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A memory cgroup with room for next to nothing more."""
    group = MEMORY_GROUPS / f"shakeout-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text("4K")
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    yield group
    for pid in (group / "cgroup.procs").read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    for _ in range(100):
        with suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.05)


@pytest.mark.root
def test_an_engine_that_the_kernel_ends_for_want_of_memory_is_said_to_be_that(
    fleet, until, small_group
) -> None:
    fleet.ensure()
    before = killed_for_memory()
    campaign = fleet.submit("out-of-memory", duration="8s", rate="100/s", fence="10s")
    loads(campaign, until)
    engine = campaign.engine("out-of-memory:0:1")
    (small_group / "cgroup.procs").write_text(str(engine.pid))
    until(lambda: not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE)
    assert killed_for_memory() > before
    report = campaign.report()
    counts = campaign.agrees(report)
    assert counts["unknown"] <= 1
    (gap,) = campaign.states_gaps(report)
    assert gap["why"] == (
        "engine exited with signal 9 (SIGKILL): the kernel of its host ran out of memory; give it more, or "
        "fewer slots"
    )
    assert all(one.alive() for one in fleet.workers.values())


def test_an_engine_that_crashes_again_and_again_before_the_start_ends_the_campaign_with_the_reason(
    fleet, until
) -> None:
    fleet.ensure()
    fleet.aim.signal(signal.SIGSTOP)
    campaign = fleet.submit("loop-early", top="place_within: 6s\n")
    kill_always(campaign, shard=1, until=until)
    fleet.aim.signal(signal.SIGCONT)
    report = campaign.report()
    assert report["verdict"] == "invalid"
    assert "loop-early on worker w" in report["reasons"][0]
    assert len(campaign.facts(f.Placed)) > 3
    assert campaign.log() == []


def test_an_engine_that_crashes_again_and_again_under_load_leaves_gaps_and_no_verdict_of_the_target(
    fleet, until
) -> None:
    fleet.ensure()
    campaign = fleet.submit("loop-late", duration="8s")
    loads(campaign, until, more_than=20)
    kill_always(campaign, shard=1, until=until)
    report = campaign.report()
    counts = campaign.agrees(report)
    gaps = campaign.states_gaps(report)
    assert {gap["shard"] for gap in gaps} == {1}
    assert counts["unknown"] <= len(gaps)
    assert len(campaign.facts(f.Placed)) > 3, "two shards, and one of them again and again"
    assert report["verdict"] == "invalid"
    assert any("of the scheduled arrivals were sent and observed" in why for why in report["reasons"])
    campaign.each_said_once()


def kill_always(campaign, *, shard: int, until) -> None:
    """Kill whatever engine works at a shard, until the campaign is over."""

    def over() -> bool:
        state = campaign.state()
        last = state.last_attempt(campaign.name, shard)
        if last is not None and last.live and (engine := campaign.engine_now(last.id)) is not None:
            with suppress(psutil.NoSuchProcess):
                engine.kill()
        return state.aborting is not None or state.ended is not None

    until(over, within_s=60)
