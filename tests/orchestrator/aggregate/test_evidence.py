"""What the coordinator concludes of an activity from its totals and its journal."""

from collections import Counter

import pytest

from orchestrator.aggregate.accounting import Account, Gap, with_unseen
from orchestrator.aggregate.evidence import _achieved, _start_skew, measure
from orchestrator.aggregate.totals import ActivityTotals
from orchestrator.aggregate.unscheduled import CaseWork
from orchestrator.campaign.models import Where
from orchestrator.facts import Phase, State
from orchestrator.plan import ActivityPlan, PhasePlan
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import ABANDONED, Cell, Snapshot


def totals_of(lags_s: dict[int, list[float]]) -> ActivityTotals:
    """Totals in which every second's requests were sent with these lags."""
    cells = [
        Cell(second, "", {"ok": len(lags)}, {}, {"lag": to_wire(sketch_of(lags))})
        for second, lags in lags_s.items()
    ]
    totals = ActivityTotals()
    totals.add(Snapshot("load", 0, "load:0:1", 1, 0.0, 0, 0, [], cells))
    return totals


def test_what_lag_carried_beyond_the_schedules_end_was_not_offered_in_time():
    totals = totals_of({0: [0.5] * 100, 1: [1.5] * 100, 2: [2.5] * 100})
    assert _achieved(totals, 300, end_s=3.0) == pytest.approx(2 / 3)


def test_a_late_start_that_was_caught_up_with_is_achieved():
    totals = totals_of({0: [0.9] * 100, 1: [0.01] * 100, 2: [0.01] * 100})
    assert _achieved(totals, 300, end_s=3.0) == 1.0
    assert _achieved(totals, 400, end_s=3.0) == 0.75, "the rest was never sent"


def test_a_burst_at_the_very_end_of_a_schedule_was_offered_in_time_though_each_has_some_lag():
    totals = totals_of({0: [0.003] * 20, 9: [0.003] * 10})
    assert _achieved(totals, 30, end_s=9.001) == 1.0


def started(activity: str, shard: int, lag_s: float, number: int = 1) -> Snapshot:
    attempt = f"{activity}:{shard}:{number}"
    return Snapshot(activity, shard, attempt, 1, 0.0, 1, 1, [], [], start_lag_s=lag_s)


def test_the_shards_of_all_activities_of_a_phase_start_together_and_later_attempts_do_not_count():
    totals = {"load": ActivityTotals(), "soak": ActivityTotals()}
    for one in (started("load", 0, 0.01), started("load", 1, 0.04), started("load", 1, 7.0, 2)):
        totals["load"].absorb(one)
    totals["soak"].absorb(started("soak", 0, 1.51))
    shards = {("load", 0): ("load:0:1",), ("load", 1): ("load:1:1", "load:1:2"), ("soak", 0): ("soak:0:1",)}
    state = State(shards=shards)
    assert _start_skew(state, {"load": totals["load"]}) == pytest.approx(0.03)
    assert _start_skew(state, totals) == pytest.approx(1.5)


def test_an_engines_busiest_second_is_one_of_load_and_not_the_moment_of_its_end():
    totals = ActivityTotals()
    for seq, (busy, final) in enumerate(((0.2, False), (0.4, False), (1.0, True)), start=1):
        totals.absorb(Snapshot("a", 0, "a:0:1", seq, 0.0, 0, 0, [], [], busy_share=busy, final=final))
    assert totals.attempts["a:0:1"].busy_share == 0.4


def test_a_first_connection_that_takes_long_is_the_targets_doing_and_no_late_start():
    totals = {"near": ActivityTotals(), "far": ActivityTotals()}
    totals["near"].absorb(started("near", 0, 0.02))
    totals["far"].absorb(started("far", 0, 1.23))
    connect = {"connect": to_wire(sketch_of([1.2, 0.0]))}
    totals["far"].add(Snapshot("far", 0, "x", 1, 0.0, 0, 0, [], [Cell(0, "", {"ok": 2}, {}, connect)]))
    state = State(shards={("near", 0): ("near:0:1",), ("far", 0): ("far:0:1",)})
    assert _start_skew(state, totals) == pytest.approx(0.01)


def test_a_case_that_was_asked_again_after_an_engine_died_is_one_case_and_lowers_no_coverage():
    golden = ActivityPlan(
        key="golden", name="golden", phase="only", kind="regression", target="chat", where=Where(), shards=1,
        needs_engine=True,
    )  # fmt: skip
    totals = ActivityTotals()
    cells = [Cell(0, "", {"ok": 60, ABANDONED: 1}, {}, {})]
    totals.add(Snapshot("golden", 0, "golden:0:1", 1, 0.0, 0, 0, [], cells))
    state = State(phases={"only": Phase(start_s=0.0)})
    phase = PhasePlan(name="only", requires=(), activities=(golden,))
    found = measure(golden, state, totals, phase=phase, slos=(), prices=None, cases=CaseWork(60))
    assert found.evidence.coverage == 1
    found = measure(golden, state, totals, phase=phase, slos=(), prices=None, cases=CaseWork(80))
    assert found.evidence.coverage == 0.75


def test_where_engines_worked_unseen_nothing_is_called_unsent():
    second = ("", 3)
    gap = Gap(0, "load:0:1", 3.0, 4.0, unknown=1, unsent=4, why="no sign")
    found = with_unseen(
        Account(Counter({second: 9}), unknown=Counter({second: 1}), unsent=Counter({second: 4}), gaps=[gap])
    )
    assert (found.scheduled[second], found.unknown[second], found.unsent.total()) == (9, 5, 0)
    assert [(one.unknown, one.unsent) for one in found.gaps] == [(5, 0)]
