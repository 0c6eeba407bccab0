from hypothesis import given
from hypothesis import strategies as st

from workers.engine.trailing import SLICES, Trailing

SPAN = 10_000


def test_what_is_older_than_the_span_is_forgotten():
    seen = Trailing(SPAN)
    seen.add(0, marked=1)
    seen.add(5_000)
    assert (seen.total, seen.marked) == (2, 1)
    seen.forget(SPAN + 1)
    assert (seen.total, seen.marked) == (1, 0)
    seen.clear()
    assert (seen.total, seen.marked) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=300))
def test_counts_are_those_of_the_span_up_to_a_slice(steps):
    seen, now, happened = Trailing(SPAN), 0, []
    for gap, marked in steps:
        now += gap
        seen.add(now, marked=int(marked))
        happened.append((now, marked))
        most = [one for one in happened if one[0] >= now - SPAN - SPAN // SLICES]
        least = [one for one in happened if one[0] >= now - SPAN + SPAN // SLICES]
        assert len(least) <= seen.total <= len(most)
        assert sum(one[1] for one in least) <= seen.marked <= sum(one[1] for one in most)


def test_a_flood_takes_no_more_memory_than_a_trickle():
    seen = Trailing(SPAN)
    for now in range(3 * SPAN):
        seen.add(now)
    assert len(seen._slices) <= SLICES + 2
