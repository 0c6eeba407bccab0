"""Processes of our own: they wait, work when told, and end with their agent, their time or their session."""

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from workers.chaos import own
from workers.chaos.contract import ProcessId, Scene
from workers.chaos.processes import boot_s, is_alive, look_at_all
from workers.contract.errors import FaultError

WORKER = """
import subprocess, sys, time
from pathlib import Path
from workers.chaos.lifeline import stand_by
(folder,) = stand_by()
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
Path(folder, "works").touch()
time.sleep(60)
"""


@pytest.fixture
def scene(tmp_path, monkeypatch) -> Scene:
    """A scene in whose folder modules of the tests are found."""
    (tmp_path / "toils.py").write_text(WORKER)
    (tmp_path / "breaks.py").write_text("raise RuntimeError('no such device')")
    (tmp_path / "mumbles.py").write_text("print('hello')")
    monkeypatch.syspath_prepend(str(tmp_path))
    return Scene("k", str(tmp_path), boot_s() + 60.0)


def _session(who: ProcessId) -> list[int]:
    return [
        pid
        for pid, process in look_at_all().items()
        if process.session == who.pid and process.state not in "ZX"
    ]


def _works(scene: Scene) -> bool:
    return Path(scene.folder, "works").exists()


def test_it_waits_until_told_and_is_ended_with_all_that_it_started(scene, until):
    toiler = own.start("toils", [scene.folder], scene=scene)
    time.sleep(0.2)
    assert is_alive(toiler.who)
    assert not _works(scene)
    toiler.go()
    until(lambda: _works(scene) and len(_session(toiler.who)) == 2)
    assert "of our own still runs" in own.left([toiler.who])
    own.end([toiler.who])
    until(lambda: not _session(toiler.who))
    assert own.left([toiler.who]) == ""
    toiler.let_go()


@pytest.mark.parametrize("told", [False, True])
def test_it_ends_when_its_agent_is_gone(scene, until, told):
    toiler = own.start("toils", [scene.folder], scene=scene)
    if told:
        toiler.go()
        until(lambda: _works(scene))
    os.close(toiler.lifeline)
    until(lambda: not is_alive(toiler.who), within_s=5.0)
    own.end([toiler.who])
    until(lambda: not _session(toiler.who))
    os.waitpid(toiler.who.pid, 0)


def test_it_ends_when_its_time_is_over(scene, until):
    short = msgspec.structs.replace(scene, until_s=boot_s() + 1.5)
    toiler = own.start("toils", [scene.folder], scene=short)
    toiler.go()
    until(lambda: not is_alive(toiler.who), within_s=1.5 + 5.0)
    assert boot_s() >= short.until_s - 0.01
    own.end([toiler.who])
    toiler.let_go()


@pytest.mark.parametrize(("module", "words"), [("breaks", "no such device"), ("mumbles", "hello")])
def test_one_that_does_not_start_says_why_and_is_not_left(scene, module, words):
    with pytest.raises(FaultError, match=words):
        own.start(module, [], scene=scene)
    mine = [process for process in look_at_all().values() if process.argv[-1:] == (module,)]
    assert not mine


def test_a_later_process_with_the_same_pid_is_left_alone():
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    ) as other:
        was = ProcessId(other.pid, 0.5)
        own.end([was])
        assert own.left([was]) == ""
        assert other.poll() is None
        other.communicate(b"\n", timeout=20)
    assert other.returncode == 0
