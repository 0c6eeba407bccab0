from workers.contract.behaviour import Breaker
from workers.engine.breaker import LEAST_TRIES, Circuit

S = 1_000_000_000
HALF = Breaker(failures=0.5, window_s=10.0, open_for_s=5.0)


def _fed(circuit, outcomes, *, at_ns=S):
    """Tries that end 10 ms apart; how often the circuit opened."""
    opened = 0
    for step, failed in enumerate(outcomes):
        opened += circuit.ended(at_ns + step * S // 100, began_ns=at_ns, failed=failed)
    return opened


def _opened():
    circuit = Circuit(HALF)
    assert _fed(circuit, [True] * LEAST_TRIES) == 1
    return circuit, S + (LEAST_TRIES - 1) * S // 100


def test_a_few_failures_prove_nothing():
    circuit = Circuit(HALF)
    assert _fed(circuit, [True] * (LEAST_TRIES - 1)) == 0
    assert circuit.admits(2 * S)


def test_it_opens_when_the_share_of_failures_is_reached():
    circuit = Circuit(HALF)
    assert _fed(circuit, [False] * 6 + [True] * 5) == 0
    assert _fed(circuit, [True], at_ns=2 * S) == 1
    assert not circuit.admits(2 * S)


def test_failures_older_than_the_window_are_forgotten():
    circuit = Circuit(HALF)
    _fed(circuit, [True] * (LEAST_TRIES - 1))
    assert _fed(circuit, [False] * LEAST_TRIES, at_ns=12 * S) == 0
    assert circuit.admits(13 * S)


def test_after_its_time_one_try_alone_is_let_through_and_decides():
    circuit, opened_ns = _opened()
    due_ns = opened_ns + 5 * S
    assert not circuit.admits(due_ns - 1)
    assert circuit.admits(due_ns)
    assert not circuit.admits(due_ns + 1)
    assert not circuit.ended(due_ns + S, began_ns=due_ns, failed=False)
    assert circuit.admits(due_ns + S)
    assert circuit.admits(due_ns + S)


def test_it_stays_open_as_long_again_where_that_try_failed():
    circuit, opened_ns = _opened()
    due_ns = opened_ns + 5 * S
    circuit.admits(due_ns)
    assert circuit.ended(due_ns + S, began_ns=due_ns, failed=True)
    assert not circuit.admits(due_ns + 6 * S - 1)
    assert circuit.admits(due_ns + 6 * S)


def test_tries_begun_before_it_opened_decide_nothing():
    circuit, opened_ns = _opened()
    due_ns = opened_ns + 5 * S
    circuit.admits(due_ns)
    assert not circuit.ended(due_ns + 1, began_ns=opened_ns - 1, failed=False)
    assert not circuit.admits(due_ns + 2)


def test_a_try_that_was_not_made_leaves_the_decision_to_the_next():
    circuit, opened_ns = _opened()
    due_ns = opened_ns + 5 * S
    circuit.admits(due_ns)
    circuit.dropped()
    assert circuit.admits(due_ns + 1)
