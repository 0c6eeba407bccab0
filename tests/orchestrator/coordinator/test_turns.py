"""Whose turn it is, as a leader asks: when the queue is asked again, and what it is told of each campaign."""

from types import SimpleNamespace

import pytest

from orchestrator.coordinator import turns as rooms
from orchestrator.coordinator.turns import Turns, still_to_place
from orchestrator.facts import State, fold_all
from orchestrator.placement.eligible import ANYTHING_GOES
from orchestrator.plan import plan_of
from workers.contract import facts as f


@pytest.fixture
def run_of(campaign_of, load_activity):
    """A live campaign as a leader holds it, after these facts."""

    def make(id_, *facts, at_s=0.0, top="", slots=()):
        campaign = campaign_of(("one", load_activity), ("two", load_activity), top=top)
        submitted = f.Submitted(campaign=id_, text="", by="ada", at_s=at_s)
        return SimpleNamespace(
            id=id_,
            campaign=campaign,
            plan=plan_of(campaign, seed=1),
            state=fold_all(State(), (submitted, *facts)),
            submitted=submitted,
            slots_held=dict(slots),
        )

    return make


@pytest.fixture
def asked(monkeypatch):
    """How many campaigns the queue was told of, each time that it was asked."""
    times = []
    real = rooms.queue

    def counting(live, **given):
        times.append(len(live))
        return real(live, **given)

    monkeypatch.setattr(rooms, "queue", counting)
    return times


OPENED = f.PhaseOpened(phase="one")


def look(turns, *runs, unread=(), fleet=()):
    return turns.waits(runs, fleet=fleet, rules=ANYTHING_GOES, unread=unread)


def test_where_nothing_waits_nothing_is_asked(run_of, asked):
    assert look(Turns(), run_of("a", OPENED)) == {}
    assert asked == []


def test_the_queue_is_asked_again_when_a_campaign_comes_begins_or_ends(run_of, asked):
    turns = Turns()
    first, second = run_of("a", OPENED), run_of("b", at_s=1.0)
    for _ in range(3):
        assert set(look(turns, first, second)) == {"b"}
    assert asked == [2]
    assert set(look(turns, first, second, run_of("c", at_s=2.0))) == {"b", "c"}
    ended = run_of("a", OPENED, f.Ended(verdict="pass"))
    assert look(turns, ended, second) == {}
    assert asked == [2, 3, 1]


def test_one_that_is_stopping_before_its_turn_stands_in_nobodys_way(run_of):
    stopped = run_of("a", f.Aborting(by="ada", why="enough", verdict="aborted"), top="priority: 3\n")
    first, second = run_of("b", OPENED), run_of("c", at_s=2.0)
    assert set(look(Turns(), first, stopped, second)) == {"c"}


def test_what_broke_and_is_opened_again_holds_what_it_held(run_of):
    turns = Turns()
    first, second = run_of("a", OPENED), run_of("b", at_s=1.0)
    assert "holds target" in look(turns, first, second)["b"]
    assert "holds target" in look(turns, second, unread=("a",))["b"]
    assert "what it holds is not known yet" in look(Turns(), second, unread=("a",))["b"]
    assert look(turns, second) == {}, "it lives no more"


def test_an_operators_limit_is_a_ceiling_for_all(run_of):
    turns = Turns({"127.0.0.1:8000": 30.0})
    shared = "share_target: true\n"
    first, second = run_of("a", OPENED, top=shared), run_of("b", at_s=1.0, top=shared)
    assert "is to get at most 30/s" in look(turns, first, second)["b"]
    assert look(Turns({"127.0.0.1:8000": 40.0}), first, second) == {}


def test_phases_are_still_to_be_placed_until_all_their_shards_have_a_place(run_of):
    def names(*facts):
        run = run_of("a", *facts)
        return [phase.name for phase in still_to_place(run.state, run.plan)]

    key = run_of("a").plan.phases[0].activities[0].key
    given = {"phase": "one", "activity": key, "shard": 0, "of": 2, "number": 1, "incarnation": "i"}
    placed = f.Placed(attempt=f"{key}:0:1", worker="w", **given)
    assert names() == names(OPENED) == ["one", "two"]
    assert names(OPENED, placed) == ["two"]
    assert names(OPENED, placed, f.PhaseEnded(phase="one", verdict="pass")) == ["two"]
