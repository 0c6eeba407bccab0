"""Engines as their supervisor keeps them: real children, warm and idle, killed and replaced."""

import os
import queue
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.contract.errors import EngineError
from workers.engine import wire
from workers.supervise import EngineHandle, Gone, Supervisor

WITHIN_S = 20.0


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    kept = Supervisor(keep=1, environment={**os.environ, "SHAKEOUT_BROKER": "redis://:secret@x"})
    kept.start()
    yield kept
    kept.close()


def idle(supervisor: Supervisor) -> EngineHandle:
    """The warm idle engine, waited for."""
    end_s = time.monotonic() + WITHIN_S
    while not (found := [each for each in supervisor._idle if each.warm.is_set() and not each.gone.is_set()]):
        assert time.monotonic() < end_s
        time.sleep(0.02)
    return found[0]


def test_a_warm_engine_is_used_and_replaced_only_after_it_is_gone(supervisor):
    warm = idle(supervisor)
    engine = supervisor.acquire()
    assert engine is warm
    assert not supervisor._wants_warm()
    engine.order(wire.Halt("test"))
    assert engine.gone.wait(WITHIN_S)
    supervisor.release(engine)
    assert idle(supervisor).pid != engine.pid


def test_where_no_idle_engine_is_left_a_new_one_is_started_at_once(supervisor):
    first, second = supervisor.acquire(), supervisor.acquire()
    assert first.pid != second.pid
    assert second.warm.wait(WITHIN_S)
    for engine in (first, second):
        engine.kill()
        supervisor.release(engine)


def test_an_idle_engine_that_dies_is_seen_and_replaced(supervisor):
    first = idle(supervisor)
    os.kill(first.pid, signal.SIGKILL)
    assert first.gone.wait(WITHIN_S)
    supervisor._warm_after_s = 0.0
    assert idle(supervisor).pid != first.pid


def test_the_end_of_an_engine_is_witnessed_with_its_signal_and_time(supervisor):
    engine = supervisor.acquire()
    words: queue.SimpleQueue = queue.SimpleQueue()
    engine.listen(words.put)
    assert isinstance(words.get(timeout=WITHIN_S), wire.Warm)
    killed_ns = time.monotonic_ns()
    engine.kill()
    gone = words.get(timeout=WITHIN_S)
    assert isinstance(gone, Gone)
    assert gone.words() == "engine exited with signal 9"
    assert 0 < gone.at_ns - killed_ns < 1e9
    with pytest.raises(EngineError):
        engine.order(wire.Halt("too late"))
    supervisor.release(engine)


def test_an_engine_is_not_given_the_brokers_password(supervisor):
    engine = idle(supervisor)
    assert b"SHAKEOUT_BROKER" not in Path(f"/proc/{engine.pid}/environ").read_bytes()
