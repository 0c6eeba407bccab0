"""Hidden faults: shown to nobody until they are over or revealed."""

import pytest

from orchestrator.cli.holding import Holding
from orchestrator.facts import State, fold_all
from orchestrator.gameday.hidden import hidden_keys, kept_back, said_of
from orchestrator.plan import plan_of
from workers.contract import facts as f

PLACED = f.Placed(
    attempt="hang:0:1", phase="only", activity="hang", shard=0, of=1, number=1, worker="w", incarnation="i"
)
INJECTED = f.FaultSeen(attempt="hang:0:1", what="injected")
OVER = f.Exited(attempt="hang:0:1", outcome="done")


@pytest.fixture
def campaign(campaign_of, load_activity, chaos_activity):
    return campaign_of(("only", load_activity + chaos_activity + "        hidden: true\n"))


@pytest.mark.parametrize(
    ("facts", "hidden"),
    [
        ((), {"hang"}),
        ((PLACED, INJECTED), {"hang"}),
        ((PLACED, INJECTED, OVER), set()),
        ((PLACED, INJECTED, f.Revealed(activity="hang", by="ada")), set()),
        ((f.PhaseOpened(phase="only"), f.PhaseEnded(phase="only", verdict="pass")), set()),
    ],
)
def test_a_hidden_fault_is_kept_back_until_it_is_over_or_revealed(campaign, facts, hidden):
    state = fold_all(State(), (f.PhaseOpened(phase="only"), *facts))
    assert kept_back(campaign, plan_of(campaign, seed=1), state) == hidden


def test_what_is_not_hidden_is_never_kept_back(campaign_of, load_activity, chaos_activity):
    open_ = campaign_of(("only", load_activity + chaos_activity))
    assert kept_back(open_, plan_of(open_, seed=1), State()) == frozenset()


def test_in_a_rehearsal_each_fault_is_kept_back_until_it_is_told(campaign_of, load_activity, chaos_activity):
    top = "gameday: {tabletop: true}\n"
    rehearsed = campaign_of(("only", load_activity + chaos_activity), top=top)
    plan = plan_of(rehearsed, seed=1)
    assert hidden_keys(rehearsed) == {"hang": "hang"}
    assert kept_back(rehearsed, plan, State()) == {"hang"}
    assert kept_back(rehearsed, plan, fold_all(State(), [f.Posed(activity="hang", text="x")])) == frozenset()


def test_who_watches_is_told_of_a_hidden_fault_once_it_is_over(text_of, load_activity, chaos_activity):
    text = text_of(("only", load_activity + chaos_activity + "        hidden: true\n"))
    holding = Holding()
    said = f.Submitted(campaign="c", text=text)
    started = f.PhaseStarted(phase="only", start_s=1.0)
    assert [holding.hear(fact) for fact in (said, PLACED, INJECTED, started)] == [[said], [], [], [started]]
    assert holding.hear(OVER) == [PLACED, INJECTED, OVER]
    assert holding.hear(INJECTED) == [INJECTED], "from then on it is a fault as any other"


def test_who_watches_is_told_of_a_hidden_fault_once_it_is_revealed(text_of, load_activity, chaos_activity):
    text = text_of(("only", load_activity + chaos_activity + "        hidden: true\n"))
    holding = Holding()
    holding.hear(f.Submitted(campaign="c", text=text))
    holding.hear(INJECTED)
    revealed = f.Revealed(activity="hang", by="ada")
    assert holding.hear(revealed) == [revealed, INJECTED]


def test_a_fact_is_of_an_activity_by_its_attempt_alone():
    assert said_of(INJECTED, frozenset({"hang"}))
    assert not said_of(f.FaultSeen(attempt="hang-2:0:1", what="injected"), frozenset({"hang"}))
    assert not said_of(f.PhaseStarted(phase="hang", start_s=1.0), frozenset({"hang"}))
