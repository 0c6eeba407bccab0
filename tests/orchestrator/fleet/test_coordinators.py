"""Two coordinators: one leads, the other stands by; stalled, killed and cut off in the middle of a load."""

import signal
import time

from workers.contract import facts as f
from workers.contract.broker.names import LEADER, LEADER_LEASE_S

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


def test_leaders_killed_at_every_step_of_a_campaign_are_followed_in_time_and_nothing_is_missing(
    fleet, until
) -> None:
    fleet.ensure(coordinators=2)
    campaign = fleet.submit("leaders-die", fence="30s", duration="8s")
    for step in (f.PhaseOpened, f.Placed, f.Ready, f.PhaseStarted, f.PhaseEnded):
        campaign.fact(step, within_s=60)
        leader = fleet.leader()
        leader.kill()
        fleet.coordinators.remove(leader)
        fleet.coordinator()
        assert follows(fleet, until, leader) < TAKEN_OVER_WITHIN_S
    report = campaign.report(within_s=60)
    counts = campaign.agrees(report)
    assert counts["unknown"] == counts["unsent"] == 0
    assert campaign.facts(f.Lost) == []
    assert len(campaign.facts(f.Placed)) == 2
    campaign.each_said_once()


def test_engines_fall_silent_by_themselves_where_nobody_leads_and_go_on_when_somebody_does(
    fleet, until
) -> None:
    fleet.ensure()
    campaign = fleet.submit("leaderless", fence="1s", duration="20s")
    loads(campaign, until)
    fleet.coordinators.pop().kill()
    killed_ns = time.monotonic_ns()
    until(lambda: not fleet.store.client.exists(LEADER))  # or it is the machine that is still for a moment
    until(lambda: silent_s(campaign) > 1.5)
    last_ns = campaign.log()[-1]["received_ns"]
    # the lead's own lease outlives the leader, and workers renew theirs for as long
    assert last_ns - killed_ns < (LEADER_LEASE_S + 1.0) * 3 * 1e9
    fleet.coordinator()
    report = campaign.report()
    counts = campaign.agrees(report)
    gaps = campaign.states_gaps(report)
    assert {gap["why"] for gap in gaps} == {"the authorisation to send ran out"}
    assert {gap["shard"] for gap in gaps} == {0, 1}
    assert counts["unknown"] == 0
    assert max(line["received_ns"] for line in campaign.log()) > last_ns + 1e9
    campaign.each_said_once()


def silent_s(campaign) -> float:
    """How long the target has heard nothing."""
    return (time.monotonic_ns() - campaign.log()[-1]["received_ns"]) / 1e9
