"""Starting a guardian and letting it go, from the agent's side."""

import os
import signal
import time
from pathlib import Path

import pytest

from workers.chaos.arm import arm
from workers.chaos.ledger import collect, forget, open_entry, read, scene_of
from workers.chaos.processes import boot_s, send
from workers.contract.errors import FaultError

ARMED_WITHIN_S = 0.45  # three times what a worker may count on; it takes about 0.08 s on an idle host


@pytest.fixture
def opened(orphan, make_order, pinned, tmp_path):
    """An open entry for a pause of a fresh process."""
    target = orphan()
    order = make_order(pinned(target.pid))
    scene = scene_of(tmp_path / "ledger", order, processes=(target.who,), until_s=boot_s() + 31)
    path, _ = open_entry(tmp_path / "ledger", order, scene=scene, deadline_s=boot_s() + 30)
    return target, path


def test_a_guardian_is_there_quickly_and_goes_when_nothing_is_open(opened):
    _, path = opened
    took_s = []
    for _ in range(3):
        begin_s = time.monotonic()
        armed = arm(path)
        took_s.append(time.monotonic() - begin_s)
        assert armed.lives()
        entry = path.read_bytes()
        forget(path)
        assert armed.stand_down()
        path.write_bytes(entry)
    print("armed in", " ".join(f"{took * 1000:.0f}" for took in took_s), "ms")
    assert min(took_s) < ARMED_WITHIN_S


def test_a_guardian_reverts_when_told_to(opened, until):
    target, path = opened
    armed = arm(path)
    send(target.who, signal.SIGSTOP)
    until(lambda: target.state() == "T")
    os.write(armed.agent_fd, b"r")
    until(lambda: target.state() == "S", 5.0)
    until(lambda: not armed.lives(), 5.0)
    armed.hand_over()
    assert collect(path).why == "told to"


def test_what_is_left_open_is_handed_over(opened, until):
    target, path = opened
    armed = arm(path)
    send(target.who, signal.SIGSTOP)
    until(lambda: target.state() == "T")
    armed.hand_over()
    until(lambda: target.state() == "S", 5.0)
    until(lambda: read(path) is None, 5.0)


def test_no_fault_without_a_guardian(opened, tmp_path):
    _, path = opened
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FaultError, match="did not start: it died"):
        arm(tmp_path / "no-entry.json")
    path.write_bytes(b"{")
    with pytest.raises(FaultError, match=r"did not start: ledger .* cannot be read"):
        arm(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
