"""The gates before phases: who is asked, how long is waited, and what becomes of a no and of silence."""

from datetime import UTC, datetime

import pytest

from orchestrator.decide.gates import waiting
from workers.contract import facts as f

GAMEDAY = """\
gameday:
  roles: {commander: cmd@example.com}
  approvals: {second: {by: commander, within: 15m}}
"""
WINDOW = '  window: {from: "09:00", to: "17:00", timezone: UTC}\n'
TEN = datetime(2026, 11, 24, 10, tzinfo=UTC).timestamp()


@pytest.fixture
def gated(world, load_activity, chaos_activity):
    """A campaign whose second phase needs an approval; its first one runs."""

    def make(top=GAMEDAY, requires=()):
        faults = load_activity.replace("steady", "beside") + chaos_activity
        one = world(("first", load_activity), ("second", faults, requires), top=top)
        one.now_s = TEN
        one.begin()
        return one

    return make


def approve(world, **given):
    world.say(f.Approved(phase="second", by="cmd", at_s=world.now_s, **given))


def end_first(world, verdict="pass"):
    world.verdicts["first"] = verdict
    world.finish_running()
    world.step()


def test_approvals_are_asked_for_when_the_campaign_starts_and_once(gated):
    one = gated()
    asked = [fact for fact in one.journal if isinstance(fact, f.ApprovalAsked)]
    assert [(fact.phase, fact.role, fact.address) for fact in asked] == [
        ("second", "commander", "cmd@example.com")
    ]
    assert one.state.phases["first"].opened_s is not None, "the first phase does not wait for it"


def test_a_phase_waits_at_its_gate_and_says_for_whom_and_until_when(gated):
    one = gated()
    assert waiting(one.state, one.plan) == ()
    end_first(one)
    assert "second" not in one.state.phases
    assert one.state.gates["second"].until_s == pytest.approx(one.now_s + 900)
    (words,) = waiting(one.state, one.plan)
    assert "commander (cmd@example.com) until 10:15:00 UTC" in words
    assert "`shakeout approve c-1 second`" in words


def test_until_when_is_said_by_the_windows_clock_too_and_with_the_day_where_it_may_be_another(gated):
    berlin = WINDOW.replace("UTC", "Europe/Berlin")
    one = gated(top=GAMEDAY.replace("15m", "24h") + berlin)
    end_first(one)
    (words,) = waiting(one.state, one.plan)
    assert "until Wed 2026-11-25 10:00:00 UTC (11:00:00 Europe/Berlin): `shakeout approve" in words
    one.step(after_s=899)
    assert "second" not in one.state.phases
    approve(one)
    one.step()
    assert one.state.phases["second"].opened_s is not None
    assert waiting(one.state, one.plan) == ()


def test_a_phase_that_was_approved_before_its_gate_does_not_wait(gated):
    one = gated()
    approve(one)
    end_first(one)
    assert "second" in one.state.phases
    assert not any(isinstance(fact, f.GateReached) for fact in one.journal)


def test_silence_aborts_the_campaign_once_the_time_is_over_and_not_before(gated):
    one = gated()
    end_first(one)
    one.step(after_s=900)
    assert one.state.aborting is None
    one.step(after_s=0.1)
    assert one.state.aborting.verdict == "aborted"
    assert "commander (cmd@example.com) did not approve it within 15 min" in one.state.aborting.why
    assert one.state.ended is not None


def test_an_approval_in_the_last_moment_counts_for_every_leader(gated):
    one = gated()
    end_first(one)
    one.now_s += 899.9
    approve(one)
    one.step(after_s=60)
    assert one.state.aborting is None
    assert "second" in one.state.phases


def test_a_no_aborts_at_once_though_an_earlier_phase_still_runs(gated):
    one = gated()
    one.say(f.Denied(phase="second", by="cmd", why="release day", key="k", at_s=one.now_s))
    one.step()
    assert (one.state.aborting.by, one.state.aborting.key) == ("cmd", "k")
    assert one.state.aborting.why == "phase second was not approved by cmd: release day"


def test_a_phase_that_is_skipped_waits_for_nobody(gated):
    one = gated(requires=("first",))
    end_first(one, "fail")
    assert one.state.phases["second"].skipped_because
    assert one.state.ended is not None
    assert not any(isinstance(fact, f.GateReached) for fact in one.journal)


def test_a_phase_whose_window_has_closed_while_it_waited_stops_the_campaign_as_invalid(gated):
    one = gated(GAMEDAY.replace("15m", "9h") + WINDOW)
    end_first(one)
    one.step(after_s=6 * 3600)
    assert one.state.aborting is None, "it is 16:00"
    one.step(after_s=3600)
    assert one.state.aborting.verdict == "invalid"
    assert "phase second has faults" in one.state.aborting.why
    assert "after the window" in one.state.aborting.why


def test_a_phase_without_faults_is_not_stopped_by_the_window(gated):
    one = gated(GAMEDAY + WINDOW.replace("09:00", "12:00"))
    assert one.state.aborting is None
    assert one.state.phases["first"].start_s is not None


def test_a_campaign_that_waits_for_its_turn_asks_nobody_yet(world, load_activity):
    one = world(("second", load_activity), top=GAMEDAY)
    one.seen = type(one.seen)(queued="waits for its target")
    one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s))
    one.step(after_s=3600)
    assert one.journal[1:] == []
    one.seen = type(one.seen)()
    one.step()
    assert [type(fact) for fact in one.journal[1:]] == [f.ApprovalAsked, f.GateReached]
