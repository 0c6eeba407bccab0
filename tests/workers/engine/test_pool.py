"""Standing in line is the target's doing only once the pool is as large as it may be."""

import time

import gevent
import pytest

from workers.engine.arrival import Arrival
from workers.engine.pool import Pool
from workers.engine.probe import Probe

HOLD_S = 0.05
STILL_S = 2.0
WITHIN_S = 5.0


class Crowd:
    """Users that are plain greenlets; the pool is their source."""

    def __init__(self) -> None:
        self.size = 0
        self.users: list[gevent.Greenlet] = []

    def employ(self, source) -> None:
        self.source = source

    def add(self) -> None:
        self.size += 1
        self.users.append(gevent.spawn(self.source.work))


class Book:
    """Notes what was handed over and given up."""

    def __init__(self) -> None:
        self.given_up: list[int] = []

    def handed(self, arrival, *, following) -> None:
        assert following == arrival.index + 1

    def unsent_target(self, arrival, *, following) -> None:
        assert following == arrival.index + 1
        self.given_up.append(arrival.index)


@pytest.fixture
def pool():
    """Makes a pool whose requests take HOLD_S; ends its users."""
    made = []

    def make(*, cap: int, timeout_s: float = 10.0, stood_ns=lambda _: 0):
        crowd, book, sent = Crowd(), Book(), []

        def send(arrival) -> None:
            gevent.sleep(HOLD_S)
            sent.append(arrival)

        one = Pool(crowd=crowd, book=book, send=send, cap=cap, timeout_s=timeout_s, of=1, stood_ns=stood_ns)
        made.append((one.start(), crowd))
        gevent.sleep(0)
        return one, book, sent

    yield make
    for grower, crowd in made:
        gevent.killall([grower, *crowd.users])


def offered(one, number: int) -> None:
    for index in range(number):
        now_ns = time.monotonic_ns()
        one.offer(Arrival(index, 0, now_ns, now_ns))


def until(found) -> None:
    with gevent.Timeout(WITHIN_S):
        while not found():
            gevent.sleep(0.005)


def test_a_line_before_a_pool_that_may_still_grow_is_this_sides_lag(pool):
    one, _, sent = pool(cap=400)
    offered(one, 200)
    until(lambda: len(sent) == 200)
    assert {arrival.wait_ns for arrival in sent} == {0}


def test_a_line_before_a_full_pool_is_wait(pool):
    one, _, sent = pool(cap=2)
    offered(one, 6)
    until(lambda: len(sent) == 6)
    waits = sorted(arrival.wait_ns for arrival in sent)
    assert waits[:2] == [0, 0]
    assert waits[2] >= HOLD_S * 1e9 * 0.9
    assert waits[4] >= 2 * HOLD_S * 1e9 * 0.9


def test_whoever_waits_longer_than_the_timeout_is_given_up(pool):
    one, book, sent = pool(cap=1, timeout_s=HOLD_S / 2)
    offered(one, 3)
    until(lambda: len(sent) + len(book.given_up) == 3)
    assert [arrival.index for arrival in sent] == [0]
    assert book.given_up == [1, 2]


def test_time_in_which_the_engine_stood_still_is_no_wait(pool):
    probe = Probe()
    probing = probe.start()
    one, book, sent = pool(cap=1, timeout_s=STILL_S / 2, stood_ns=probe.stood_ns)
    gevent.sleep(HOLD_S / 5)
    offered(one, 3)
    gevent.sleep(HOLD_S / 5)
    time.sleep(STILL_S)  # as a stop from outside: its own timers come late
    one.expire()
    until(lambda: len(sent) + len(book.given_up) == 3)
    probing.kill()
    assert book.given_up == []
    assert max(arrival.wait_ns for arrival in sent) < STILL_S / 2 * 1e9
