"""A deadline of one greenlet: kept, and asked again where the loop stood still when it was due."""

import time

import gevent
import pytest
from gevent import socket

from workers.engine.deadline import Deadline

LIMIT_S = 0.2
STILL_S = 0.5


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    yield here, there
    here.close()
    there.close()


def test_it_is_kept_by_whoever_is_in_time(pair):
    here, there = pair
    gevent.spawn(here.sendall, b"x")
    with Deadline(20.0, TimeoutError("late")):
        assert there.recv(1) == b"x"
    with Deadline(0.001, TimeoutError("late")):
        pass
    gevent.sleep(0.02)  # nothing comes of it afterwards


def test_its_own_error_is_raised_once_its_time_is_up(pair):
    _, there = pair
    began_s = time.monotonic()
    with pytest.raises(TimeoutError, match="late"), Deadline(LIMIT_S, TimeoutError("late")):
        there.recv(1)
    assert time.monotonic() - began_s >= LIMIT_S


@pytest.mark.parametrize("comes", [True, False])
def test_what_came_while_the_loop_stood_still_is_in_time(pair, comes):
    here, there = pair

    def stand_still():
        time.sleep(STILL_S)
        if comes:
            here.sendall(b"x")

    gevent.spawn(stand_still)
    began_s = time.monotonic()
    if comes:
        with Deadline(LIMIT_S, TimeoutError("late")):
            assert there.recv(1) == b"x"
    else:
        with pytest.raises(TimeoutError, match="late"), Deadline(LIMIT_S, TimeoutError("late")):
            there.recv(1)
    assert time.monotonic() - began_s >= STILL_S
