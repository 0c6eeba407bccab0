"""Whether a fault may come: the traffic before it, as far as it is in."""

import pytest

from orchestrator.aggregate.totals import Aggregate
from orchestrator.facts import State, fold_all
from orchestrator.judging.steady import LOOKS_AHEAD_S, looks_at, unsteady
from orchestrator.plan import plan_of
from workers.contract import facts as f
from workers.contract.bounds import BoundCount
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import Cell, Snapshot

START_S = 1000.0
FIRST_S = 20.0
FAULT = """\
      - name: hang
        kind: chaos
        fault: noop
        at: 20s
        for: 2s
"""


@pytest.fixture
def said(campaign_of, load_activity):
    """What is said of a phase with a load and faults at `at_s`, given its seconds' outcomes."""

    def say(seconds, *, at_s=FIRST_S - LOOKS_AHEAD_S, fault=FAULT, also=()):
        campaign = campaign_of(("p", load_activity + fault))
        plan = plan_of(campaign, seed=1)
        facts = [f.PhaseOpened(phase="p"), f.PhaseStarted(phase="p", start_s=START_S), *also]
        state = fold_all(State(), facts)
        return unsteady(campaign, plan, state, measured(seconds), now_s=START_S + at_s)

    return say


def measured(seconds):
    """An aggregate whose seconds have these outcomes, answered in 50 ms."""
    cells = []
    for second, outcomes in seconds.items():
        count = sum(outcomes.values())
        bad = count - outcomes.get("ok", 0)
        sketches = {"latency": to_wire(sketch_of([0.05] * outcomes["ok"]))} if outcomes.get("ok") else {}
        cells.append(Cell(second, "", outcomes, {"latency<0.2": BoundCount(count, bad, bad)}, sketches))
    aggregate = Aggregate()
    aggregate.absorb(Snapshot("steady", 0, "steady:0:1", 1, 0.0, 10**6, 0, [], cells))
    return aggregate


GOOD = {second: {"ok": 20} for second in range(18)}


def test_steady_traffic_lets_faults_come(said):
    assert said(GOOD) == ""


def test_broken_objectives_hold_them_back_and_are_named(said):
    why = said(GOOD | {second: {"ok": 2, "http_503": 18} for second in range(5, 18)})
    assert why.startswith("steady is not steady before the first fault: ")


def test_what_was_broken_long_before_does_not_count(campaign_of, load_activity):
    late = FAULT.replace("20s", "50s")
    longer = load_activity.replace("duration: 30s", "duration: 90s")
    campaign = campaign_of(("p", longer + late))
    state = fold_all(State(), [f.PhaseOpened(phase="p"), f.PhaseStarted(phase="p", start_s=START_S)])
    early = {second: {"http_503": 20} for second in range(18)} | {s: {"ok": 20} for s in range(20, 48)}
    plan = plan_of(campaign, seed=1)
    assert unsteady(campaign, plan, state, measured(early), now_s=START_S + 50 - LOOKS_AHEAD_S) == ""


def test_silence_is_not_steadiness(said):
    assert "0 seconds with answers in the 18 s before the first fault" in said({})


def test_numbers_that_are_on_their_way_are_waited_for(said):
    assert said({second: GOOD[second] for second in range(12)}) == ""


def test_it_is_looked_at_shortly_before_the_first_fault_and_only_then(said):
    broken = {second: {"http_503": 20} for second in range(18)}
    assert said(broken, at_s=FIRST_S - LOOKS_AHEAD_S - 0.1) == ""
    assert said(broken, at_s=FIRST_S - LOOKS_AHEAD_S + 0.5) != ""
    assert said(broken, at_s=FIRST_S) == "", "a leader that comes too late lets it be"


def test_what_was_withheld_is_not_judged_again(said):
    broken = {second: {"http_503": 20} for second in range(18)}
    assert said(broken, also=[f.FaultsWithheld(phase="p", why="so it was")]) == ""


def test_what_no_fault_observes_need_not_be_steady(said):
    broken = {second: {"http_503": 20} for second in range(18)}
    assert said(broken, fault=FAULT + "        observe: []\n") == ""


def test_a_phase_without_faults_is_not_looked_at(campaign_of, load_activity):
    plan = plan_of(campaign_of(("p", load_activity)), seed=1)
    assert looks_at(plan.phase("p")) is None
