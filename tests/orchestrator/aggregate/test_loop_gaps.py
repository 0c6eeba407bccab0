from dataclasses import replace

import pytest

from orchestrator.aggregate.loop_gaps import loop_gaps
from orchestrator.facts import Attempt
from workers.contract import facts as f
from workers.contract.schedule import ClosedArrivals

USERS = ClosedArrivals(users=5, think_s=0.0, duration_s=20.0)
START_S = 1000.0


@pytest.fixture
def attempt():
    """One try at a shard of two, told to start at `from_s`."""

    def make(shard, number, from_s, **end):
        name = f"load:{shard}:{number}"
        made = {"exited": None, "lost": None}
        if "died_s" in end:
            made["exited"] = f.Exited(
                attempt=name, outcome="died", silent_s=START_S + end["died_s"], why="signal 9"
            )
        elif "fence_s" in end:
            made["lost"] = f.Lost(attempt=name, fence_s=START_S + end["fence_s"], why="no sign")
        else:
            made["exited"] = f.Exited(attempt=name, outcome="done", silent_s=START_S + 20.0)
        return Attempt(name, "p", "load", shard, 2, number, "w", "one", "h", START_S, from_s=from_s, **made)

    return make


def gaps(*shards):
    found = loop_gaps(USERS, start_s=START_S, shards=shards)
    return [(one.shard, one.from_s, one.until_s, one.why) for one in found]


def test_users_that_lasted_leave_no_gap(attempt):
    assert gaps([attempt(0, 1, 0.0)], [attempt(1, 1, 0.0)]) == []


def test_users_are_silent_from_their_engines_end_until_they_go_on_elsewhere(attempt):
    one, other = [attempt(0, 1, 0.0, died_s=4.0), attempt(0, 2, 6.5)], [attempt(1, 1, 0.0)]
    assert gaps(one, other) == [(0, 4.0, 6.5, "3 users sent nothing: signal 9")]


def test_users_that_were_handed_over_were_silent_only_where_the_successor_came_late(attempt):
    over = f.Exited(attempt="load:0:1", outcome="stopped", silent_s=START_S + 9.0, why="handed over")
    old = replace(attempt(0, 1, 0.0), exited=over, yielded=True, until_s=6.5)
    assert gaps([old, attempt(0, 2, 6.5)], [attempt(1, 1, 0.0)]) == []
    assert gaps([old, attempt(0, 2, 7.0)], [attempt(1, 1, 0.0)]) == [
        (0, 6.5, 7.0, "3 users sent nothing: handed over")
    ]


def test_users_that_never_go_on_are_silent_to_the_end(attempt):
    assert gaps([attempt(0, 1, 0.0)], [attempt(1, 1, 0.0, fence_s=9.0)]) == [
        (1, 9.0, 20.0, "2 users sent nothing: no sign")
    ]


def test_an_attempt_that_was_never_told_to_start_left_no_gap_of_its_own(attempt):
    assert gaps([attempt(0, 1, None, died_s=1.0)], []) == []
