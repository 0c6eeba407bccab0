import math
import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.contract.sketch import (
    ALPHA,
    EMPTY,
    SketchWire,
    from_wire,
    merge,
    merge_all,
    merge_wires,
    sketch_of,
    to_wire,
)

MILLION = 10**6
QUANTILES = (0.001, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
DRAWS = {
    "lognormal": lambda dice: dice.lognormal(-3, 1.2, MILLION),
    "exponential": lambda dice: dice.exponential(0.2, MILLION),
    "uniform": lambda dice: dice.uniform(0.001, 5.0, MILLION),
    "pareto": lambda dice: 0.01 * (1 + dice.pareto(1.1, MILLION)),
    "two humps": lambda dice: np.concatenate(
        [dice.normal(0.05, 0.002, MILLION * 9 // 10), dice.normal(2.0, 0.1, MILLION // 10)]
    ),
}
values = st.lists(
    st.one_of(st.just(0.0), st.integers(1, 10**6).map(lambda micros: micros / 1024)), max_size=40
)


def same(left, right):
    """Equal in everything, whatever the empty buckets at the ends; sums but for rounding."""
    a, b = to_wire(left), to_wire(right)
    return (
        (a.count, a.zeros, a.low, a.high, a.keys, a.counts)
        == (b.count, b.zeros, b.low, b.high, b.keys, b.counts)
    ) and math.isclose(a.total, b.total, rel_tol=1e-12)


@pytest.mark.parametrize("name", DRAWS)
def test_merged_quantiles_of_a_million_values_are_within_half_a_percent_in_any_order(name):
    data = DRAWS[name](np.random.default_rng(7))
    dice = random.Random(7)
    exact = np.quantile(data, QUANTILES, method="inverted_cdf")
    for parts in (1, 13, 200):
        pieces = [sketch_of(part) for part in np.array_split(dice_shuffled(data, dice), parts)]
        dice.shuffle(pieces)
        merged = merge_all(pieces)
        found = np.array([merged.quantile(q) for q in QUANTILES])
        # half a percent, and the width of a bucket's edge where a value sits on it
        assert np.abs(found / exact - 1).max() <= ALPHA * 1.001
        assert merged.count == MILLION
        assert (merged.low, merged.high) == (data.min(), data.max())
        assert merged.mean == pytest.approx(data.mean(), rel=1e-9)


def dice_shuffled(data, dice):
    """The data turned by a random offset: other parts hold other values."""
    return np.roll(data, dice.randrange(len(data)))


@given(values, values, values)
def test_merging_does_not_care_for_order_or_grouping(a, b, c):
    left, middle, right = sketch_of(a), sketch_of(b), sketch_of(c)
    together = sketch_of([*a, *b, *c])
    assert same(merge(merge(left, middle), right), together)
    assert same(merge(left, merge(middle, right)), together)
    assert same(merge(right, merge(left, middle)), together)
    assert same(merge_all([middle, right, left]), together)


@given(values)
def test_merging_with_nothing_changes_nothing(a):
    one = sketch_of(a)
    assert same(merge(one, EMPTY), one)
    assert same(merge(EMPTY, one), one)


@given(values)
def test_a_sketch_survives_the_wire(a):
    body = msgspec.msgpack.encode(to_wire(sketch_of(a)))
    assert same(from_wire(msgspec.msgpack.decode(body, type=SketchWire)), sketch_of(a))


@given(values.filter(bool), st.floats(0, 1))
@settings(max_examples=200)
def test_each_quantile_is_near_one_of_the_values_and_between_the_smallest_and_the_largest(a, q):
    found = sketch_of(a).quantile(q)
    assert min(a) <= found <= max(a)
    assert any(math.isclose(found, value, rel_tol=ALPHA * 1.001) for value in a)


@given(values.filter(bool), st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_a_higher_quantile_is_never_smaller(a, qs):
    found = [sketch_of(a).quantile(q) for q in sorted(qs)]
    assert found == sorted(found)


def test_nothing_counted_has_no_quantile_no_mean_and_no_share():
    for nothing in (EMPTY, sketch_of([]), from_wire(to_wire(EMPTY)), merge_all([])):
        assert nothing.count == 0
        assert math.isnan(nothing.quantile(0.5))
        assert math.isnan(nothing.mean)
        assert math.isnan(nothing.share_above(1.0))


def test_zeros_and_what_no_clock_resolves_count_as_zero_but_stay_in_the_sum():
    one = sketch_of([0.0, 1e-12, -0.5, 2.0])
    assert (one.count, one.zeros) == (4, 3)
    assert one.quantile(0.0) == 0.0
    assert one.quantile(1.0) == pytest.approx(2.0, rel=ALPHA)
    assert one.total == pytest.approx(1.5)


def test_all_zeros_have_zero_quantiles():
    assert [sketch_of([0.0] * 5).quantile(q) for q in (0, 0.5, 1)] == [0.0] * 3


def test_a_wire_form_holds_only_buckets_that_have_something():
    wire = to_wire(sketch_of([1e-6, 1000.0]))
    assert len(wire.keys) == 2
    assert wire.counts == [1, 1]


def test_the_share_above_a_bound_is_right_to_within_a_bucket():
    one = sketch_of(np.linspace(0.0, 10.0, 10_001))
    assert one.share_above(2.5) == pytest.approx(0.75, abs=0.01)
    assert one.share_above(1e-12) == pytest.approx(1.0, abs=1e-3)
    assert one.share_above(20.0) == 0.0


@given(st.lists(values, max_size=8))
def test_sketches_merged_as_they_came_are_those_merged_once_decoded(parts):
    wires = [to_wire(sketch_of(part)) for part in parts]
    assert same(merge_wires(wires), merge_all([from_wire(wire) for wire in wires]))
    assert to_wire(merge_wires(wires)) == to_wire(merge_all([from_wire(wire) for wire in wires]))


def test_a_sketch_whose_keys_and_counts_do_not_pair_is_refused():
    good = to_wire(sketch_of([0.1, 0.2]))
    with pytest.raises(ValueError, match="do not pair"):
        merge_wires([good, SketchWire(3, 0, 0.6, 0.1, 0.3, [1, 2, 3], [1, 2])])
