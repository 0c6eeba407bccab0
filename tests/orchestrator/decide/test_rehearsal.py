"""A rehearsal: phases pass, faults are told at their time or when asked for, and nobody is given any work."""

import pytest

from workers.contract import facts as f


@pytest.fixture
def table(world, load_activity, chaos_activity):
    """A rehearsal of one phase of 30 s with a fault at 5 s, just submitted."""
    top = "gameday: {tabletop: true, roles: {a: b}, approvals: {only: {by: a}}}\n"
    one = world(("only", load_activity + chaos_activity), top=top)
    one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s))
    one.step()
    return one


def told(world):
    return [(fact.activity, fact.text) for fact in world.journal if isinstance(fact, f.Posed)]


def test_a_rehearsal_begins_at_once_asks_nobody_and_places_nothing(table):
    assert table.state.phases["only"].start_s == table.now_s
    assert table.state.gates == {}
    assert (table.sent, table.state.attempts) == ([], {})


def test_a_fault_is_told_at_its_time_in_words(table):
    table.step(after_s=4.9)
    assert told(table) == []
    table.step(after_s=0.2)
    ((activity, text),) = told(table)
    assert activity == "hang"
    assert text.startswith("pause-process for 2 s")


def test_a_fault_that_somebody_asks_for_is_told_before_its_time_and_once(table):
    table.say(f.Revealed(activity="hang", by="ada", at_s=table.now_s))
    table.step()
    table.step(after_s=10)
    assert [activity for activity, _ in told(table)] == ["hang"]


def test_a_rehearsal_ends_with_its_planned_time(table):
    table.step(after_s=29.9)
    assert table.state.ended is None
    table.step(after_s=0.2)
    assert table.state.phases["only"].ended_s is not None
    assert table.state.ended is not None


def test_a_rehearsal_can_be_stopped(table):
    table.say(f.AbortAsked(by="ada", at_s=table.now_s))
    table.step()
    assert table.state.ended is not None
