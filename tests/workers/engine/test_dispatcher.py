"""Arrivals leave at their time, each once and in order, however many are due at once."""

import itertools
import time

import gevent
import pytest

from workers.engine.book import Clock
from workers.engine.clockmap import fixed
from workers.engine.dispatcher import AT_ONCE, CHUNK, dispatch

MS = 1_000_000


@pytest.fixture
def clock():
    return Clock(fixed(time.monotonic_ns()))


def test_each_arrival_is_given_away_once_in_order_and_never_early(clock):
    given = []
    schedule = [(index, index * MS // 4) for index in range(100)]
    dispatch(
        iter(schedule),
        clock=clock,
        offer=lambda arrival: given.append((arrival, time.monotonic_ns())),
        goes_on=lambda _: True,
    )
    assert [(arrival.index, arrival.at_ns) for arrival, _ in given] == schedule
    start_ns = clock.monotonic_ns(0)
    assert all(arrival.intended_ns == start_ns + arrival.at_ns for arrival, _ in given)
    assert all(now_ns >= arrival.intended_ns for arrival, now_ns in given)


def test_a_late_schedule_keeps_its_times_and_lets_others_run_in_between(clock):
    given, turns = [], []

    def other():
        while len(given) < 1000:
            turns.append(len(given))
            gevent.sleep(0)

    beside = gevent.spawn(other)
    late = [(index, -1000 * MS) for index in range(1000)]
    dispatch(iter(late), clock=clock, offer=given.append, goes_on=lambda _: True)
    beside.join(5)
    assert len(given) == 1000
    assert {arrival.intended_ns for arrival in given} == {clock.monotonic_ns(-1000 * MS)}
    assert max(later - earlier for earlier, later in itertools.pairwise(turns)) <= 4 * AT_ONCE


def test_batches_follow_one_another_without_a_gap(clock):
    given = []
    many = CHUNK * 2 + 5
    dispatch(
        ((index, -1) for index in range(many)),
        clock=clock,
        offer=lambda arrival: given.append(arrival.index),
        goes_on=lambda _: True,
    )
    assert given == list(range(many))


def test_it_ends_with_the_first_arrival_that_is_not_wanted(clock):
    given = []
    dispatch(
        ((index, -1) for index in range(100)),
        clock=clock,
        offer=lambda arrival: given.append(arrival.index),
        goes_on=lambda index: index < 40,
    )
    assert given == list(range(40))


def test_a_mistake_in_the_loop_is_raised_by_the_dispatcher(clock):
    def offer(_):
        raise ValueError("a row is broken")

    with pytest.raises(ValueError, match="a row is broken"):
        dispatch(iter([(0, 0)]), clock=clock, offer=offer, goes_on=lambda _: True)


def test_a_clock_that_is_steered_meanwhile_moves_the_arrivals_that_are_left(clock):
    given = []
    start_ns = clock.monotonic_ns(0)

    def offer(arrival):
        given.append(arrival)
        if arrival.index == 0:
            clock.retime(start_ns + 100 * MS)

    dispatch(
        ((index, index * 10 * MS) for index in range(10)), clock=clock, offer=offer, goes_on=lambda _: True
    )
    shifts = [arrival.intended_ns - start_ns - arrival.at_ns for arrival in given]
    assert shifts[0] == 0
    assert 0 < shifts[-1] < MS, "at most 500 ppm of the time since"
