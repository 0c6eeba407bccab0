"""The rate ceiling."""

from hypothesis import given
from hypothesis import strategies as st

from workers.engine.ceiling import BURST_S, Ceiling

SECOND = 10**9


@given(st.floats(0.05, 1000), st.lists(st.integers(0, SECOND), max_size=200))
def test_no_span_admits_more_than_the_ceiling_and_one_burst(per_s, gaps):
    ceiling, now, taken = Ceiling(per_s), 0, 0
    for gap in gaps:
        now += gap
        taken += ceiling.admits(now)
    assert taken <= per_s * now / SECOND + max(BURST_S * per_s, 1) + 1


def test_after_the_wait_it_names_there_is_room():
    ceiling = Ceiling(2.0)
    assert sum(ceiling.admits(0) for _ in range(100)) == 20
    assert ceiling.wait_ns(0) == SECOND // 2
    assert not ceiling.admits(SECOND // 2 - 1)
    assert ceiling.admits(SECOND // 2)


def test_without_a_ceiling_everything_is_admitted():
    ceiling = Ceiling(None)
    assert all(ceiling.admits(0) for _ in range(1000))
    assert ceiling.wait_ns(0) == 0
