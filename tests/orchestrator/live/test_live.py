"""How a fault stands in the live picture."""

from types import SimpleNamespace

import pytest

from orchestrator.facts import State, fold_all
from orchestrator.live.live import _fault
from orchestrator.plan import plan_of
from workers.contract import facts as f


@pytest.fixture
def word(campaign_of, load_activity, chaos_activity):
    """The word for the fault of a campaign after these facts."""

    def say(*facts):
        plan = plan_of(campaign_of(("only", load_activity + chaos_activity)), seed=1)
        fault = next(one for one in plan.phases[0].activities if one.kind == "chaos")
        attempt = f"{fault.key}:0:1"
        placed = f.Placed(
            attempt=attempt, phase="only", activity=fault.key, shard=0, of=1, number=1, worker="w",
            incarnation="i",
        )  # fmt: skip
        begun = (f.PhaseOpened(phase="only"), placed, f.PhaseStarted(phase="only", start_s=1.0))
        state = fold_all(State(), (*begun, *(make(attempt) for make in facts)))
        return _fault(fault, state, SimpleNamespace(plan=plan), "only").state

    return say


def test_a_fault_waits_for_its_moment_and_one_that_never_came_is_not_said_to_wait_for_ever(word):
    assert word() == "waiting"
    failed = lambda attempt: f.Exited(attempt=attempt, outcome="failed", why="no such process")  # noqa: E731
    assert word(failed) == "not done"
