"""Which loads `abort_if` looks at: those that run, and those that should."""

import pytest

from orchestrator.aggregate.totals import Aggregate
from orchestrator.facts import State, fold_all
from orchestrator.judging.abort import breach_of
from orchestrator.plan import plan_of
from workers.contract import facts as f

START_S = 1000.0
TOP = 'abort_if: ["success_rate < 50% over 10s"]\n'
PLACED = f.Placed(
    attempt="steady:0:1", phase="p", activity="steady", shard=0, of=1, number=1, worker="w",
    incarnation="one", at_s=START_S - 1,
)  # fmt: skip


@pytest.fixture
def breach(campaign_of, load_activity):
    """Why a load of 60 s that nobody answered must stop, so many seconds in, after these facts."""

    def ask(*facts, after_s):
        campaign = campaign_of(("p", load_activity.replace("30s", "60s")), top=TOP)
        journal = (f.PhaseOpened(phase="p"), PLACED, f.PhaseStarted(phase="p", start_s=START_S), *facts)
        state = fold_all(State(), journal)
        plan = plan_of(campaign, seed=1)
        return breach_of(campaign, plan, state, Aggregate(), now_s=START_S + after_s)

    return ask


def test_silence_of_a_load_that_runs_is_a_breach_once_its_window_is_full(breach):
    assert breach(after_s=9.0) == ""
    assert "no request was answered or failed" in breach(after_s=10.5)


def test_a_load_that_was_lost_and_finds_no_worker_is_missed(breach):
    lost = f.Lost(attempt="steady:0:1", fence_s=0.0, why="its worker died")
    assert "no request was answered or failed" in breach(lost, after_s=30.0)
    assert breach(lost, after_s=60.5) == "", "its schedule is over: nothing is due any more"


def test_a_load_that_is_over_says_nothing_more(breach):
    done = f.Exited(attempt="steady:0:1", outcome="done")
    assert breach(done, after_s=30.0) == ""
