"""Two coordinators: one leads, the other stands by; stalled, killed and cut off in the middle of a load."""

import signal
import time

from workers.contract import facts as f

TAKEN_OVER_WITHIN_S = 30.0
"""Three times the 10 s that are promised."""
HANGS_FOR_S = 5.0
"""Longer than the leader's lease and the workers'."""


def loads(campaign, until, *, more_than: int = 50) -> None:
    """Wait until the target has seen so many requests."""
    until(lambda: len(campaign.log()) > more_than)


def follows(fleet, until, leader) -> float:
    """Wait until another coordinator leads; how long it took."""
    began_s = time.monotonic()
    until(lambda: fleet.leader() is not leader)
    return time.monotonic() - began_s


def test_the_lead_moves_on_as_leaders_stall_and_die_and_nothing_is_missing_or_said_twice(
    fleet, until
) -> None:
    fleet.ensure(coordinators=2)
    stalled = fleet.leader()
    campaign = fleet.submit("leaders-go", fence="10s", duration="10s")
    loads(campaign, until)
    stalled.signal(signal.SIGSTOP)
    assert follows(fleet, until, stalled) < TAKEN_OVER_WITHIN_S
    second = fleet.leader()
    until(lambda: fleet.store.parts(campaign.id))
    folder = fleet.folder / "runs" / campaign.id / "parts"
    parts = {name: (folder / name).read_bytes() for name in fleet.store.parts(campaign.id)}
    stalled.signal(signal.SIGCONT)
    until(lambda: stalled.said("standing by") or stalled.said("the lead was lost"))
    assert {name: (folder / name).read_bytes() for name in parts} == parts
    second.kill()
    assert follows(fleet, until, second) < TAKEN_OVER_WITHIN_S
    assert fleet.leader() is stalled
    counts = campaign.agrees(campaign.report())
    assert counts["unknown"] == counts["unsent"] == 0
    assert campaign.facts(f.Lost) == []
    campaign.each_said_once()


def test_redis_may_hang_for_five_seconds_and_nobody_is_taken_for_dead(fleet, until) -> None:
    fleet.ensure()
    top = 'abort_if: ["success_rate < 50% over 2s"]\n'  # a window without data would stop it
    campaign = fleet.submit("redis-hangs", fence="15s", duration="9s", top=top)
    loads(campaign, until)
    fleet.server.pause()
    time.sleep(HANGS_FOR_S)
    fleet.server.resume()
    counts = campaign.agrees(campaign.report())
    assert counts["unknown"] == counts["unsent"] == 0
    assert campaign.facts(f.Lost) == []
    assert len(campaign.facts(f.Placed)) == 2
    assert campaign.facts(f.Aborting) == []
