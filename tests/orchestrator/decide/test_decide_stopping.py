"""What ends a campaign before its time: a person, the red button, a breach, `--max-time`."""

from dataclasses import replace

import pytest

from workers.contract import control
from workers.contract import facts as f
from workers.contract.signed.halts import Press


def stops(world):
    return {tell.order.attempt for tell in world.told if isinstance(tell.order, control.Stop)}


def test_a_halt_ends_a_running_campaign_as_aborted_by_who_pressed_it(world, load_activity):
    running = world(("only", load_activity))
    running.begin()
    running.seen = replace(running.seen, halted=Press("ada", "the pager rings"))
    running.step()
    aborting = running.state.aborting
    assert (aborting.by, aborting.why, aborting.verdict) == (
        "ada",
        "halted by ada: the pager rings",
        "aborted",
    )
    assert stops(running) == {"steady:0:1", "steady:1:1"}


@pytest.mark.parametrize("who", ["person", "breach"])
def test_an_abort_stops_everything_that_runs_and_no_further_phase_begins(world, load_activity, who):
    one = world(("first", load_activity), ("second", load_activity))
    one.begin()
    if who == "person":
        one.say(f.AbortAsked(by="ada", why="wrong target"))
    else:
        one.seen = type(one.seen)(breach="success_rate < 50% over 1m: 12%")
    one.step()
    assert one.state.aborting.verdict == ("aborted" if who == "person" else "fail")
    assert stops(one) == {"first/steady:0:1", "first/steady:1:1"}
    for attempt in sorted(stops(one)):
        one.exit(attempt, "stopped")
    one.step()
    assert one.state.ended is not None
    assert "second" not in one.state.phases


def test_nothing_is_placed_while_the_fleet_is_halted(world, load_activity):
    one = world(("only", load_activity))
    one.seen = replace(one.seen, halted=Press("ada"))
    one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s))
    one.step()
    assert one.state.attempts == {}
    assert (one.state.aborting.why, one.state.ended is not None) == ("halted by ada", True)


@pytest.mark.parametrize(
    ("max_time_s", "words"), [(20.0, "20s"), (90.0, "90s"), (120.0, "2m"), (7200.0, "2h")]
)
def test_a_campaign_is_stopped_when_its_time_is_over_and_is_invalid_then(
    world, load_activity, max_time_s, words
):
    one = world(("only", load_activity))
    one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s, max_time_s=max_time_s))
    one.step()
    one.claim()
    one.ready()
    one.step()
    one.now_s += max_time_s
    one.renew()
    one.step()
    assert one.state.aborting is None
    one.step(after_s=0.1)
    aborting = one.state.aborting
    assert (aborting.by, aborting.verdict) == ("max-time", "invalid")
    assert aborting.why == f"stopped by --max-time {words}, in phase only"
    assert stops(one) == {"steady:0:1", "steady:1:1"}


def test_the_time_of_a_campaign_also_runs_while_it_waits_for_workers(world, load_activity):
    one = world(("only", load_activity), workers=(), top="place_within: 60s\n")
    one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s, max_time_s=5.0))
    one.step()
    one.step(after_s=5.1)
    assert one.state.aborting.by == "max-time"


def test_faults_are_withheld_once_and_only_they_are_stopped(world, load_activity, chaos_activity):
    one = world(("only", load_activity + chaos_activity))
    one.begin()
    one.seen = replace(one.seen, unsteady="steady is not steady: 0 seconds with answers")
    one.step()
    one.seen = replace(one.seen, unsteady="it is worse still")
    one.step()
    said = [fact for fact in one.journal if isinstance(fact, f.FaultsWithheld)]
    assert [(fact.phase, fact.why) for fact in said] == [
        ("only", "steady is not steady: 0 seconds with answers")
    ]
    stopped = {tell.order.attempt: tell.order for tell in one.told if isinstance(tell.order, control.Stop)}
    assert set(stopped) == {"hang:0:1"}
    assert stopped["hang:0:1"].why == "withheld: steady is not steady: 0 seconds with answers"
    assert one.state.phases["only"].withheld == said[0].why
    one.exit("hang:0:1", "stopped", why=stopped["hang:0:1"].why)
    one.step()
    assert [id_ for id_ in one.sent if id_.startswith("hang")] == ["hang:0:1"], "chaos is never tried again"
    assert one.state.aborting is None
