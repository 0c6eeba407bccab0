import time

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.coordinator.pace import AT_ONCE, LOOKS_PER_S, SELDOM_S, Pace, pause_s
from workers.contract.broker.names import LEASE_S


@given(st.integers(0, 10**6))
def test_few_things_are_looked_at_every_time_and_many_often_enough_to_see_a_lost_lease(count):
    assert (pause_s(count) == 0.0) == (count <= AT_ONCE)
    assert pause_s(count) <= SELDOM_S < LEASE_S / 2
    if pause_s(count) < SELDOM_S and count > AT_ONCE:
        assert round(count / pause_s(count)) == LOOKS_PER_S


def test_the_next_look_at_many_is_due_after_the_pause_and_at_few_at_once():
    pace = Pace()
    assert [pace.due(AT_ONCE) for _ in range(3)] == [True, True, True]
    assert pace.due(LOOKS_PER_S * 10)
    assert not pace.due(LOOKS_PER_S * 10)
    until_s = time.monotonic() + 3 * SELDOM_S
    while not pace.due(AT_ONCE):
        assert time.monotonic() < until_s
        time.sleep(0.01)
