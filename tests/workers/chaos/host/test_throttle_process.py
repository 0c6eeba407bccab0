"""throttle-process: the time on a core that a process gets, and the groups that the kernel shows."""

import os
import signal
import time
from pathlib import Path

import pytest

from workers.chaos.contract import ProcessId, Scene, build
from workers.chaos.host import cgroups
from workers.chaos.processes import look
from workers.chaos.run import plan
from workers.contract.errors import FaultError

BUSY = "print('up', flush=True)\nwhile True: pass"
FAMILY = """
import os, signal
signal.signal(10, lambda *_: os.fork())
print('up', flush=True)
while True: signal.pause()
"""
EATER = """
import mmap, signal
kept = []
def eat(*_):
    area = mmap.mmap(-1, 96 * 1024**2, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for place in range(0, len(area), 4096): area[place] = 1
    kept.append(area)
signal.signal(10, eat)
print('up', flush=True)
while True: signal.pause()
"""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _why_not() -> str:
    """What this machine lacks, as a real try shows it."""
    me = look(os.getpid())
    scene = Scene("probe", "/nowhere", 0.0, processes=(ProcessId(me.pid, me.create_time),))
    try:
        build("throttle-process", {"cores": 0.5, "memory": "64MiB"}).check(scene)
    except FaultError as error:
        return str(error)
    return ""


able = pytest.mark.skipif(bool(_why_not()), reason=_why_not() or "able")


def _groups(pid):
    """All the groups that a process is in, as the kernel says."""
    return Path(f"/proc/{pid}/cgroup").read_text()


def _made():
    """Groups of ours, anywhere on this host."""
    found = []
    for folder, below, _ in os.walk("/sys/fs/cgroup"):
        found += [f"{folder}/{name}" for name in below if name.startswith("shakeout-")]
    return found


def _used_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


@able
def test_a_process_gets_its_quota_of_a_core_and_then_all_again(agent, make_order, pinned, orphan, until):
    target = orphan(BUSY)
    before = _groups(target.pid)
    one = agent(make_order(pinned(target.pid), fault="throttle-process", options={"cores": 0.2}))
    assert "shakeout-" in one.until_event("injected").touched[0]
    assert one.until_event("verified").took_effect
    began_s, had_s = time.monotonic(), _used_s(target.pid)
    time.sleep(1.0)  # a span to measure over
    share = (_used_s(target.pid) - had_s) / (time.monotonic() - began_s)
    assert share < 0.35
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    assert _groups(target.pid) == before
    assert _made() == []
    freed_s = _used_s(target.pid)
    until(lambda: _used_s(target.pid) > freed_s + 0.5)


@able
def test_a_process_that_takes_more_memory_than_it_may_is_ended_by_the_kernel(
    agent, make_order, pinned, orphan, until
):
    target, other = orphan(EATER), orphan(EATER)
    one = agent(make_order(pinned(target.pid), fault="throttle-process", options={"memory": "32MiB"}))
    assert one.until_event("verified").took_effect
    os.kill(target.pid, signal.SIGUSR1)
    os.kill(other.pid, signal.SIGUSR1)
    until(lambda: target.state() in "Zgone")
    assert other.state() in "RS"
    reverted = one.rest()[-1]
    assert reverted.what == "reverted"
    assert "exited by itself" in reverted.why
    assert _made() == []


@able
@pytest.mark.parametrize("guardian", ["lives", "killed"])
def test_it_is_freed_when_the_agent_is_killed(survives, make_order, pinned, orphan, guardian):
    target = orphan()
    before = _groups(target.pid)
    options = {"cores": 0.5, "memory": "256MiB"}
    survives(
        make_order(pinned(target.pid), fault="throttle-process", options=options),
        felt=lambda: "shakeout-" in _groups(target.pid),
        gone=lambda: _groups(target.pid) == before and _made() == [],
        guardian=guardian,
        by_itself=False,
    )


@able
def test_children_are_moved_with_it_and_freed_with_it_those_born_since_too(
    agent, make_order, pinned, orphan, until
):
    target = orphan(FAMILY)
    os.kill(target.pid, signal.SIGUSR1)
    children = Path(f"/proc/{target.pid}/task/{target.pid}/children")
    until(lambda: len(children.read_text().split()) == 1)
    before = _groups(target.pid)
    one = agent(make_order(pinned(target.pid), fault="throttle-process", options={"cores": 0.5}))
    assert one.until_event("verified").took_effect
    os.kill(target.pid, signal.SIGUSR1)
    until(lambda: len(children.read_text().split()) == 2)
    family = [target.pid, *map(int, children.read_text().split())]
    assert all("shakeout-" in _groups(pid) for pid in family)
    one.process.kill()
    until(lambda: _made() == [] and not one.guardians(), 5.0)
    assert all(_groups(pid) == before for pid in family)


@able
def test_a_process_that_somebody_moves_away_is_no_effect(agent, make_order, pinned, orphan):
    target = orphan()
    _, home = cgroups.folder_of(target.pid, "cpu")
    one = agent(make_order(pinned(target.pid), fault="throttle-process", options={"cores": 0.5}))
    assert one.until_event("verified").took_effect
    (home / "cgroup.procs").write_text(str(target.pid))
    until_s = time.monotonic() + 0.3
    while time.monotonic() < until_s:
        time.sleep(0.05)  # so that it is looked at
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert reverted.took_effect is False
    assert "is in no group with its own" in reverted.why


@pytest.mark.skipif(os.getuid() != 0, reason="needs root: becomes another user")
def test_a_user_who_may_not_is_told_so_and_nothing_changes(orphan, as_nobody, tmp_path):
    target = orphan()
    fault = build("throttle-process", {"cores": 0.5})
    said = as_nobody(lambda: fault.check(Scene("k", str(tmp_path), 0.0, processes=(target.who,))))
    assert said.startswith("FaultError: ")
    assert "cgroup" in said
    assert _made() == []


@able
def test_a_plan_names_the_groups_and_makes_none(make_order, pinned, orphan, tmp_path):
    target = orphan()
    order = make_order(pinned(target.pid), fault="throttle-process", options={"cores": 0.5})
    (said,) = plan(order, ledger=tmp_path).touched
    assert said.startswith("cgroup /sys/fs/cgroup/")
    assert "50000" in said
    assert _made() == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "say cores, memory or both"),
        ({"cores": 0}, "cores"),
        ({"cores": "half"}, "cores"),
        ({"memory": "5"}, "say a number and one of B KiB"),
        ({"memory": "4KiB"}, "must be at least 1MiB"),
    ],
)
def test_options_that_are_none_are_refused_in_words(options, words):
    with pytest.raises(FaultError, match=words):
        build("throttle-process", options)
