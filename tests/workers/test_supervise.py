"""Engines as their supervisor keeps them: real children, warm and idle, killed and replaced."""

import os
import queue
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.chaos.processes import is_stopped, look
from workers.contract.errors import EngineError, HostError
from workers.engine import wire
from workers.engine.__main__ import FIRST_TO_GO
from workers.engine_process import EngineHandle, Gone
from workers.supervise import Supervisor

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
    assert gone.words() == "engine exited with signal 9 (SIGKILL)"
    assert 0 < gone.at_ns - killed_ns < 5e9
    with pytest.raises(EngineError):
        engine.order(wire.Halt("too late"))
    supervisor.release(engine)


def test_where_memory_ran_out_meanwhile_the_end_of_an_engine_says_so():
    assert Gone(-9, 0, out_of_memory=1).words() == (
        "engine exited with signal 9 (SIGKILL): the kernel of its host ran out of memory; give it more, or "
        "fewer slots"
    )
    assert Gone(-11, 0, out_of_memory=1).words() == "engine exited with signal 11 (SIGSEGV)"
    assert Gone(-60, 0).words() == "engine exited with signal 60 (unknown)"
    assert Gone(1, 0).words() == "engine exited with code 1"


def test_the_kernel_takes_engines_first_where_memory_runs_out(supervisor):
    engine = idle(supervisor)
    own, its = (int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (os.getpid(), engine.pid))
    assert its == max(own, FIRST_TO_GO)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_process_group_leaves_engines_to_their_worker(supervisor, number):
    engine = idle(supervisor)
    os.kill(engine.pid, number)
    engine = supervisor.acquire()
    engine.order(wire.Halt("test"))
    words: queue.SimpleQueue = queue.SimpleQueue()
    engine.listen(words.put)
    said = [words.get(timeout=WITHIN_S) for _ in range(3)]
    assert [type(word) for word in said] == [wire.Warm, wire.Finished, Gone]
    assert said[2].code == 0
    supervisor.release(engine)


def test_whether_an_engine_stirs_is_seen_while_it_works_and_while_it_is_stopped(supervisor):
    engine = supervisor.acquire()
    assert engine.stirs()
    os.kill(engine.pid, signal.SIGSTOP)
    end_s = time.monotonic() + WITHIN_S
    who = look(engine.pid).identity()
    while not is_stopped(who):
        assert time.monotonic() < end_s
        time.sleep(0.05)
    engine.stirs()  # what it did until then
    assert not engine.stirs()
    os.kill(engine.pid, signal.SIGCONT)
    while not engine.stirs():
        assert time.monotonic() < end_s
        time.sleep(0.05)
    engine.kill()
    assert engine.gone.wait(WITHIN_S)
    assert engine.stirs(), "nothing is known of one that is gone"
    supervisor.release(engine)


def test_a_host_that_starts_no_more_processes_costs_that_attempt_and_not_its_worker(monkeypatch, supervisor):
    first = idle(supervisor)
    first.kill()
    monkeypatch.setattr("workers.supervise.START_WITHIN_S", 3.0)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert first.gone.wait(WITHIN_S)
    with pytest.raises(HostError, match=r"no engine could be started within 3 s: No such file or directory"):
        supervisor.acquire()
    monkeypatch.undo()
    engine = supervisor.acquire()
    assert engine.warm.wait(WITHIN_S)
    engine.kill()
    supervisor.release(engine)
    supervisor._warm_after_s = 0.0
    assert idle(supervisor), "the place that nobody waited for any more was given back"


def test_an_engine_is_not_given_the_brokers_password(supervisor):
    engine = idle(supervisor)
    assert b"SHAKEOUT_BROKER" not in Path(f"/proc/{engine.pid}/environ").read_bytes()
