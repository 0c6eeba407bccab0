"""limit-descriptors: how many files a process finds that it can open."""

import os
import signal
from pathlib import Path

import pytest

from workers.chaos.contract import Scene, build
from workers.chaos.processes import look
from workers.chaos.run import plan
from workers.contract.errors import FaultError

OPENER = """
import os, signal, sys
def attempt(number, frame):
    had = []
    try:
        while len(had) < 50:
            had.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        pass
    for handle in had:
        os.close(handle)
    os.write(report, f"{len(had)}\\n".encode())
report = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
signal.signal(signal.SIGUSR1, attempt)
print("up", flush=True)
while True: signal.pause()
"""
PARENT = """
import os, signal, sys
def breed(number, frame):
    if os.fork() == 0:
        if os.fork() == 0:
            os.write(report, f"{os.getpid()}\\n".encode())
            while True: signal.pause()
        os._exit(0)
    os.wait()
report = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
signal.signal(signal.SIGUSR1, breed)
print("up", flush=True)
while True: signal.pause()
"""


@pytest.fixture
def opener(orphan, tmp_path, until):
    """A process that says how many files, up to 50, it can open when it is asked."""
    report = tmp_path / "report"
    target = orphan(OPENER, str(report))

    def ask():
        before = len(report.read_text().split())
        os.kill(target.pid, signal.SIGUSR1)
        until(lambda: len(report.read_text().split()) > before)
        return int(report.read_text().split()[-1])

    return target, ask


def _soft(pid):
    """The soft limit that the kernel shows for a process."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max open files"):
            return line.split()[3]
    return ""


@pytest.mark.parametrize("leave", [0, 3])
def test_a_process_can_open_so_many_more_and_afterwards_as_before(agent, make_order, pinned, opener, leave):
    target, ask = opener
    before = _soft(target.pid)
    assert ask() == 50
    order = make_order(pinned(target.pid), fault="limit-descriptors", options={"leave": leave})
    one = agent(order)
    assert one.until_event("verified").took_effect
    assert ask() == leave
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    assert _soft(target.pid) == before
    assert ask() == 50


@pytest.mark.parametrize("guardian", ["lives", "killed"])
def test_the_limit_is_put_back_when_the_agent_is_killed(survives, make_order, pinned, opener, guardian):
    target, _ = opener
    before = _soft(target.pid)
    survives(
        make_order(pinned(target.pid), fault="limit-descriptors", options={"limit": 64}),
        felt=lambda: _soft(target.pid) == "64",
        gone=lambda: _soft(target.pid) == before,
        guardian=guardian,
        by_itself=False,
    )


def test_children_born_under_the_fault_are_freed_too_though_their_parent_is_gone(
    agent, make_order, pinned, orphan, tmp_path, until
):
    report = tmp_path / "report"
    target = orphan(PARENT, str(report))
    before = _soft(target.pid)
    one = agent(make_order(pinned(target.pid), fault="limit-descriptors", options={"limit": 64}))
    assert one.until_event("verified").took_effect
    os.kill(target.pid, signal.SIGUSR1)
    until(lambda: report.read_text().endswith("\n"))
    child = int(report.read_text())
    assert look(child).parent != target.pid
    assert _soft(child) == "64"
    one.process.kill()
    until(lambda: _soft(child) == before and _soft(target.pid) == before, 5.0)


def test_a_process_that_frees_itself_undoes_the_fault_and_is_left_alone(
    agent, make_order, pinned, orphan, until
):
    target = orphan(
        "import resource, signal\n"
        "now = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "signal.signal(10, lambda *_: resource.setrlimit(resource.RLIMIT_NOFILE, (200, now[1])))\n"
        "print('up', flush=True)\n"
        "while True: signal.pause()"
    )
    one = agent(make_order(pinned(target.pid), fault="limit-descriptors", options={"limit": 64}))
    assert one.until_event("verified").took_effect
    os.kill(target.pid, signal.SIGUSR1)
    until(lambda: _soft(target.pid) == "200")
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert (reverted.what, _soft(target.pid)) == ("reverted", "200")


def test_what_has_to_be_put_back_outlives_a_revert_that_fails(agent, make_order, pinned, opener, until):
    """Two tries: the first meets a memo that cannot be read, the second finds it whole."""
    target, _ = opener
    before = _soft(target.pid)
    one = agent(make_order(pinned(target.pid), fault="limit-descriptors", options={"limit": 64}))
    assert one.until_event("verified").took_effect
    (memo,) = one.ledger.glob("*/memo.json")
    sound = memo.read_bytes()
    memo.write_bytes(b"{")
    one.stop.write_text("enough")
    residue = one.until_event("residue")
    assert "cannot be read" in residue.why
    assert _soft(target.pid) == "64"
    assert one.guardians(), "it goes on trying"
    memo.write_bytes(sound)
    until(lambda: _soft(target.pid) == before and not one.guardians(), 5.0)
    assert [event.what for event in one.rest()] == ["reverted"]
    assert list(one.ledger.glob("*/memo.json")) == []


def test_a_limit_that_is_none_is_refused(make_order, pinned, opener, tmp_path):
    target, _ = opener
    order = make_order(pinned(target.pid), fault="limit-descriptors", options={"limit": 2**30})
    with pytest.raises(FaultError, match="files already, no more than 1073741824: say fewer"):
        plan(order, ledger=tmp_path)
    order = make_order(pinned(target.pid), fault="limit-descriptors", options={"limit": 64})
    (said,) = plan(order, ledger=tmp_path).touched
    assert said == f"open files of process {target.pid}: at most 64, now {_soft(target.pid)}"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root: becomes another user")
def test_a_process_of_another_user_is_refused_with_a_way_out(opener, tmp_path, as_nobody):
    target, _ = opener
    fault = build("limit-descriptors", {"limit": 64})
    said = as_nobody(lambda: fault.check(Scene("k", str(tmp_path), 0.0, processes=(target.who,))))
    assert said.startswith(f"FaultError: not permitted to limit process {target.pid}")
    assert "run the worker as that user" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "exactly one of limit, leave"),
        ({"limit": 5, "leave": 5}, "exactly one of limit, leave"),
        ({"limit": -1}, "limit"),
    ],
)
def test_options_that_are_none_are_refused_in_words(options, words):
    with pytest.raises(FaultError, match=words):
        build("limit-descriptors", options)
