from dataclasses import replace

import pytest
from msgspec.structs import replace as replace_fields

from orchestrator.aggregate.totals import ActivityTotals
from orchestrator.aggregate.unscheduled import CaseWork, account_cases, account_loop, loop_gaps
from orchestrator.facts import Attempt
from workers.contract import facts as f
from workers.contract.schedule import ClosedArrivals
from workers.contract.snapshot import ABANDONED, Cell, Snapshot

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
            made["exited"] = f.Exited(attempt=name, outcome="done", silent_s=START_S + 20.0, dispatched=1000)
        made["skip_rows"] = end.get("skip_rows", ())
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


def report(totals, name, seq, at_s, *, dispatched=0, in_flight=(), **outcomes):
    """A snapshot of an attempt that came `at_s` seconds after the phase's start."""
    cells = [Cell(int(at_s), "", outcomes, {}, {})] if outcomes else []
    sent = sum(outcomes.values())
    totals.absorb(
        Snapshot("load", int(name[5]), name, seq, START_S + at_s, dispatched, sent, list(in_flight), cells)
    )


def counts(account):
    return account.scheduled.total(), account.unknown.total(), account.unsent.total()


def test_a_batch_is_of_its_own_rows_round_by_round_without_those_that_others_judged(attempt):
    work = CaseWork(requests=14, repeats=2)
    assert work.own(attempt(0, 1, 0.0)).tolist() == [0, 2, 4, 6, 7, 9, 11, 13]
    assert work.own(attempt(1, 2, 0.0, skip_rows=(1, 5))).tolist() == [3, 10]
    assert CaseWork().own(attempt(0, 1, 0.0)).tolist() == []


def test_of_cases_that_were_all_asked_once_nothing_is_left_over(attempt):
    totals = ActivityTotals()
    for shard in (0, 1):
        report(totals, f"load:{shard}:1", 1, 1.0, dispatched=11, ok=5)
    ends = [attempt(0, 1, 0.0), attempt(1, 1, 0.0)]
    found = account_cases(CaseWork(10), start_s=START_S, attempts=ends, totals=totals)
    assert (counts(found), found.gaps) == ((10, 0, 0), [])


def test_what_a_lost_batch_may_have_asked_before_its_successor_did_is_unknown(attempt):
    totals = ActivityTotals()
    report(totals, "load:0:1", 1, 1.0, dispatched=4, in_flight=[2], ok=1)
    report(totals, "load:0:2", 1, 9.0, dispatched=11, ok=4)
    report(totals, "load:1:1", 1, 1.0, dispatched=11, ok=5)
    ends = [
        attempt(0, 1, 0.0, fence_s=6.0), attempt(0, 2, 6.5, skip_rows=(0,)), attempt(1, 1, 0.0)
    ]  # fmt: skip
    found = account_cases(CaseWork(10), start_s=START_S, attempts=ends, totals=totals)
    assert counts(found) == (14, 4, 0)  # row 2 was in flight, 4, 6 and 8 its own to go on with
    (gap,) = found.gaps
    assert (gap.attempt, gap.from_s, gap.until_s, gap.unknown) == ("load:0:1", 1.0, 6.0, 4)
    assert gap.why == "no sign; its cases were asked again"


def test_a_lost_batch_of_which_somebody_tells_later_leaves_unknown_only_what_he_did_not_tell(attempt):
    totals = ActivityTotals()
    report(totals, "load:0:1", 1, 1.0, dispatched=4, in_flight=[2], ok=1)
    report(totals, "load:0:2", 1, 9.0, dispatched=11, ok=4)
    told = f.Exited(attempt="load:0:1", outcome="stopped", dispatched=6, silent_s=START_S + 4.0)
    first = replace(attempt(0, 1, 0.0, fence_s=6.0), witnessed=told)
    ends = [first, attempt(0, 2, 6.5, skip_rows=(0,)), attempt(1, 1, None)]
    before = account_cases(CaseWork(10), start_s=START_S, attempts=ends, totals=totals)
    assert counts(before) == (5 + 2 + 5, 2, 5)  # rows 2 and 4 went unheard; the other batch never began
    report(totals, "load:0:1", 2, 4.0, dispatched=6, ok=1, **{ABANDONED: 1})
    after = account_cases(CaseWork(10), start_s=START_S, attempts=ends, totals=totals)
    assert (counts(after), after.gaps) == ((7 + 5, 0, 5), [])


def test_cases_that_a_dead_engine_left_are_unsent_where_nobody_went_on(attempt):
    totals = ActivityTotals()
    report(totals, "load:0:1", 1, 1.0, dispatched=4, ok=2)
    dead = attempt(0, 1, 0.0, died_s=2.0)
    dead = replace(dead, exited=replace_fields(dead.exited, dispatched=4))
    found = account_cases(CaseWork(10), start_s=START_S, attempts=[dead], totals=totals)
    assert counts(found) == (10, 0, 8)


def test_a_closed_loop_is_what_was_begun_where_every_end_is_known(attempt):
    totals = ActivityTotals()
    report(totals, "load:0:1", 1, 1.0, ok=4)
    report(totals, "load:0:1", 2, 2.0, ok=6)
    found = account_loop(USERS, start_s=START_S, shards=[[attempt(0, 1, 0.0)]], totals=totals)
    assert (counts(found), found.gaps) == ((10, 0, 0), [])


def test_a_lost_engines_users_went_on_until_its_fence_at_the_busiest_pace_or_less(attempt):
    totals = ActivityTotals()
    report(totals, "load:0:1", 1, 1.0, ok=4)
    report(totals, "load:0:1", 2, 2.0, in_flight=[8, 9], ok=2)
    report(totals, "load:1:1", 1, 1.0, ok=3)
    shards = [[attempt(0, 1, 0.0, fence_s=5.0), attempt(0, 2, 6.0)], [attempt(1, 1, 0.0)]]
    found = account_loop(USERS, start_s=START_S, shards=shards, totals=totals)
    assert counts(found) == (9 + 17, 2 + (4 + 1) * 3, 0)
    seen = [(one.from_s, one.until_s, one.unknown) for one in found.gaps]
    assert seen == [(2.0, 5.0, (4 + 1) * 3), (5.0, 6.0, 0)]


def test_a_lost_engines_users_are_done_when_the_loop_is(attempt):
    totals = ActivityTotals()
    report(totals, "load:0:1", 1, 19.0, ok=4)
    found = account_loop(USERS, start_s=START_S, shards=[[attempt(0, 1, 0.0, fence_s=30.0)]], totals=totals)
    assert counts(found) == (4 + 5, 5, 0)
