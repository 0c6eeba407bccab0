import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.facts import State, fold, fold_all
from workers.contract import facts as f
from workers.contract.broker.names import FENCE_MARGIN_S

PLACED = f.Placed(
    attempt="a:0:1", phase="p", activity="a", shard=0, of=1, number=1, worker="w", incarnation="one", at_s=5.0
)


def folded(*facts):
    state = State()
    for fact in facts:
        state = fold(state, fact)
    return state


def test_an_attempt_goes_from_placed_over_claimed_and_ready_to_running():
    steps = [
        (PLACED, "placed"),
        (f.Claimed(attempt="a:0:1", worker="w", incarnation="one"), "claimed"),
        (f.NotReady(attempt="a:0:1", why="no answer yet"), "waiting"),
        (f.Ready(attempt="a:0:1", fingerprint="x", numpy="2"), "ready"),
        (f.PhaseStarted(phase="p", start_s=10.0), "running"),
        (f.Exited(attempt="a:0:1", outcome="done"), "over"),
    ]
    state = State()
    for fact, status in steps:
        state = fold(state, fact)
        assert state.attempts["a:0:1"].status == status
    assert state.attempts["a:0:1"].from_s == 0.0
    assert state.attempts["a:0:1"].not_ready == ""


@pytest.mark.parametrize("lost_first", [True, False])
def test_the_first_terminal_fact_of_an_attempt_wins(lost_first):
    lost = f.Lost(attempt="a:0:1", fence_s=30.0, why="no sign")
    exited = f.Exited(attempt="a:0:1", outcome="done")
    both = (lost, exited) if lost_first else (exited, lost)
    attempt = folded(PLACED, *both).attempts["a:0:1"]
    assert (attempt.lost, attempt.exited) == ((lost, None) if lost_first else (None, exited))


def test_a_lost_attempt_whose_end_is_witnessed_later_brings_its_fence_forward_and_never_back():
    lost = f.Lost(attempt="a:0:1", fence_s=30.0, why="no sign")
    sooner = folded(PLACED, lost, f.Exited(attempt="a:0:1", outcome="died", silent_s=12.0)).attempts["a:0:1"]
    assert (sooner.lost.fence_s, sooner.exited, sooner.live) == (12.0 + FENCE_MARGIN_S, None, False)
    assert sooner.witnessed.silent_s == 12.0
    later = folded(PLACED, lost, f.Exited(attempt="a:0:1", outcome="died", silent_s=31.0)).attempts["a:0:1"]
    assert later.lost == lost


def test_of_a_phase_that_was_judged_nothing_changes_any_more_whatever_is_witnessed_later():
    lost = f.Lost(attempt="a:0:1", fence_s=30.0, why="no sign")
    judged = folded(
        PLACED, f.PhaseStarted(phase="p", start_s=6.0), lost, f.PhaseEnded(phase="p", verdict="pass")
    )
    for late in (
        f.Exited(attempt="a:0:1", outcome="stopped", silent_s=12.0),
        f.Yielded(attempt="a:0:1", until_s=4.0),
    ):
        assert fold(judged, late) == judged


def test_a_fact_said_again_does_not_take_a_running_attempt_back_before_its_start():
    begun = folded(PLACED, f.Ready(attempt="a:0:1"), f.PhaseStarted(phase="p", start_s=10.0))
    for late in (
        f.Claimed(attempt="a:0:1", worker="w", incarnation="one"),
        f.NotReady(attempt="a:0:1", why="again"),
        f.Ready(attempt="a:0:1"),
    ):
        assert fold(begun, late) == begun


def test_a_fact_about_an_attempt_that_nobody_placed_changes_nothing():
    assert folded(f.Ready(attempt="ghost")) == State()


def test_who_claimed_what_nobody_placed_is_remembered():
    claimed = f.Claimed(attempt="ghost:0:1", worker="w", incarnation="one")
    assert folded(claimed).strangers == {"ghost:0:1": "w"}
    assert folded(PLACED, f.Claimed(attempt="a:0:1", worker="w", incarnation="one")).strangers == {}


def test_a_phase_that_was_judged_before_the_journal_was_torn_is_judged_the_same_again():
    state = folded(
        f.PhaseOpened(phase="first"),
        f.PhaseEnded(phase="first", verdict="pass", at_s=20.0),
        f.PhaseOpened(phase="second"),
        f.Aborting(by="shakeout", why="", verdict="invalid", at_s=30.0, torn=True),
    )
    assert (state.is_torn("first"), state.is_torn("second")) == (False, True)
    assert fold(state, f.PhaseEnded(phase="second", verdict="invalid", at_s=42.0)).is_torn("second")


def test_a_successor_is_the_last_attempt_of_its_shard():
    second = f.Placed(
        attempt="a:0:2", phase="p", activity="a", shard=0, of=1, number=2, worker="v", incarnation="one"
    )
    state = folded(PLACED, f.Lost(attempt="a:0:1", fence_s=0, why="gone"), second)
    assert state.last_attempt("a", 0).id == "a:0:2"
    assert [one.number for one in state.attempts_of("a")] == [1, 2]
    assert state.last_attempt("a", 1) is None


def test_the_current_phase_is_the_one_that_is_open_and_not_over():
    opened = folded(f.PhaseOpened(phase="p", at_s=1.0))
    assert opened.current_phase() == "p"
    assert fold(opened, f.PhaseEnded(phase="p", verdict="pass")).current_phase() is None
    assert folded(f.PhaseSkipped(phase="q", why="requires p")).current_phase() is None


def test_only_the_attempts_of_a_phase_run_when_it_starts():
    other = f.Placed(
        attempt="b:0:1", phase="q", activity="b", shard=0, of=1, number=1, worker="w", incarnation="one"
    )
    state = folded(PLACED, other, f.PhaseStarted(phase="p", start_s=1.0))
    assert state.attempts["a:0:1"].status == "running"
    assert state.attempts["b:0:1"].status == "placed"


def test_the_first_reason_to_stop_and_the_first_end_are_kept():
    state = folded(
        f.Submitted(campaign="c", text="first"),
        f.Submitted(campaign="c", text="second"),
        f.AbortAsked(by="ada"),
        f.AbortAsked(by="bob"),
        f.Aborting(by="ada", why="one", verdict="aborted"),
        f.Aborting(by="bob", why="two", verdict="fail"),
        f.Ended(verdict="aborted"),
        f.Ended(verdict="pass"),
        f.Noted(by="ada", text="a"),
        f.Noted(by="ada", text="b"),
    )
    assert state.submitted.text == "first"
    assert state.abort_asked.by == "ada"
    assert state.aborting.why == "one"
    assert state.ended.verdict == "aborted"
    assert [note.text for note in state.notes] == ["a", "b"]


def test_steps_of_a_fault_are_kept_in_order():
    steps = [f.FaultSeen(attempt="a:0:1", what=what) for what in ("injected", "verified", "reverted")]
    assert [one.what for one in folded(*steps).faults["a:0:1"]] == ["injected", "verified", "reverted"]


FACTS = st.sampled_from(
    [
        PLACED,
        f.Claimed(attempt="a:0:1", worker="w", incarnation="one"),
        f.Ready(attempt="a:0:1"),
        f.PhaseOpened(phase="p"),
        f.PhaseStarted(phase="p", start_s=1.0),
        f.Resumed(attempt="a:0:1", from_s=3.0),
        f.Lost(attempt="a:0:1", fence_s=9.0, why="x"),
        f.Exited(attempt="a:0:1", outcome="died"),
        f.FaultSeen(attempt="a:0:1", what="injected"),
        f.Ended(verdict="pass"),
        f.Submitted(campaign="c", text="one"),
        f.Submitted(campaign="c", text="two"),
        f.Accepted(key="k"),
        f.Refused(what="note", by="eve", why="unsigned"),
        f.AbortAsked(by="ada"),
        f.Noted(by="ada", text="a"),
        f.Aborting(by="ada", why="one", verdict="aborted"),
        f.PhaseSkipped(phase="q", why="requires p"),
        f.PhaseEnded(phase="p", verdict="pass", at_s=9.0),
        f.NotReady(attempt="a:0:1", why="no answer"),
        f.Draining(attempt="a:0:1"),
        f.HandedOver(attempt="a:0:1", until_s=4.0),
        f.HandedOver(attempt="a:0:1", until_s=5.0),
        f.Yielded(attempt="a:0:1", until_s=4.0),
        f.Exited(attempt="a:0:1", outcome="stopped", silent_s=4.0),
        f.Placed(
            attempt="b:0:1", phase="q", activity="b", shard=0, of=1, number=1, worker="v", incarnation="two"
        ),
        f.Ready(attempt="b:0:1"),
        f.PhaseStarted(phase="q", start_s=2.0),
        f.Exited(attempt="b:0:1", outcome="done"),
    ]
)


@given(st.lists(FACTS, max_size=12))
def test_folding_never_changes_a_state_that_somebody_holds(facts):
    state = State()
    for fact in facts:
        before = (dict(state.attempts), dict(state.phases), dict(state.shards), dict(state.faults))
        after = fold(state, fact)
        assert (state.attempts, state.phases, state.shards, state.faults) == before
        state = after
    terminal = [one for one in state.attempts.values() if not one.live]
    assert all((one.lost is None) != (one.exited is None) for one in terminal)


@given(st.lists(FACTS, max_size=30), st.integers(0, 30))
def test_facts_folded_together_come_to_what_they_come_to_one_by_one(facts, cut):
    one_by_one = folded(*facts)
    assert fold_all(State(), facts) == one_by_one
    first = fold_all(State(), facts[:cut])
    held = first.attempts, first.live, first.phases, first.shards, first.faults
    before = tuple(dict(table) for table in held)
    assert fold_all(first, facts[cut:]) == one_by_one
    assert held == before, "a state that somebody holds was changed"


@given(st.lists(FACTS, max_size=30))
def test_the_live_attempts_are_those_that_are_not_over_in_their_order(facts):
    state = fold_all(State(), facts)
    assert list(state.live.values()) == [one for one in state.attempts.values() if one.live]
    assert state.live_in("p") == [one for one in state.attempts.values() if one.live and one.phase == "p"]


def test_an_attempt_that_is_placed_twice_stays_what_it_became():
    before = folded(PLACED, f.Lost(attempt="a:0:1", fence_s=9.0, why="x"))
    assert fold(before, PLACED) == before
