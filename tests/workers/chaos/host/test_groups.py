"""Groups of our own under the real rules of version 2, with whatever controller that tree has here."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from workers.chaos.contract import ProcessId
from workers.chaos.host import groups
from workers.chaos.host.cgroups import Hierarchy
from workers.chaos.host.groups import Group, left, make, members, move, undo
from workers.chaos.host.mounts import mounts
from workers.chaos.processes import is_alive
from workers.contract.errors import FaultError


@pytest.fixture
def second():
    """A slice in the tree of version 2, a service in it, and a controller that it could hand down."""
    tree = next((Path(mount.point) for mount in mounts() if mount.kind == "cgroup2"), None)
    controllers = (tree / "cgroup.controllers").read_text().split() if tree else []
    if tree is None or not controllers or not os.access(tree, os.W_OK):
        pytest.skip("needs root and cgroup v2 with a controller")
    controller = controllers[0]
    handed = controller in (tree / "cgroup.subtree_control").read_text().split()
    if not handed:
        (tree / "cgroup.subtree_control").write_text(f"+{controller}")
    slice_ = tree / f"test-{os.getpid()}"
    service = slice_ / "service"
    service.mkdir(parents=True)
    yield slice_, service, controller
    for folder in (*slice_.iterdir(), slice_):
        with suppress(NotADirectoryError):
            folder.rmdir()
    if not handed:
        (tree / "cgroup.subtree_control").write_text(f"-{controller}")


def test_a_group_beside_a_service_takes_its_processes_and_gives_them_back(second, orphan, until):
    slice_, service, controller = second
    target = orphan()
    move(target.who, str(service))
    group = Group(str(slice_ / "shakeout-k-0"), str(service), {"cgroup.max.depth": "3"}, (controller,))
    make(group)
    make(group)
    move(target.who, group.folder)
    assert members(group) == [target.pid]
    assert (slice_ / "cgroup.subtree_control").read_text().split() == [controller]
    assert "with 1 processes in it" in left(group)

    undo(group)
    undo(group)
    assert left(group) == ""
    assert (service / "cgroup.procs").read_text().split() == [str(target.pid)]
    assert (slice_ / "cgroup.subtree_control").read_text().split() == []
    os.kill(target.pid, 9)
    until(lambda: not is_alive(target.who))
    until(lambda: (service / "cgroup.procs").read_text() == "")


def test_what_another_fault_needs_stays_handed_down_until_that_is_over(second):
    slice_, service, controller = second
    one = Group(str(slice_ / "shakeout-a-0"), str(service), {}, (controller,))
    other = Group(str(slice_ / "shakeout-b-0"), str(service), {}, ())
    make(one)
    make(other)
    undo(one)
    assert "still hands down" in left(one)
    assert left(other) != ""
    undo(other)
    assert left(other) == ""
    undo(one)
    assert left(one) == ""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A tree of version 2 as far as its files show it: a slice with two services."""
    slice_ = tmp_path / "slice"
    for service in ("one", "two"):
        (slice_ / service).mkdir(parents=True)
    (slice_ / "cgroup.controllers").write_text("cpu io memory\n")
    (slice_ / "cgroup.subtree_control").write_text("memory\n")
    homes = {1: slice_ / "one", 2: slice_ / "two", 3: slice_ / "one"}
    hierarchy = Hierarchy(2, tmp_path, "/")
    monkeypatch.setattr(groups, "folder_of", lambda pid, _: (hierarchy, homes[pid]))
    monkeypatch.setattr(groups, "alive", list)
    return slice_


def test_in_version_2_each_service_gets_one_group_beside_it_for_all_its_limits(tree):
    processes = [ProcessId(pid, 0.0) for pid in (1, 2, 3)]
    found = groups.groups_for(processes, key="k", cores=0.5, memory_bytes=1024**2)
    assert [(group.folder, group.origin) for group in found] == [
        (f"{tree}/shakeout-k-0", f"{tree}/one"),
        (f"{tree}/shakeout-k-1", f"{tree}/two"),
    ]
    assert {group.hands_down for group in found} == {("cpu",)}
    assert found[0].settings == {"cpu.max": "50000 100000", "memory.max": "1048576"}


def test_a_slice_that_was_given_no_controller_is_said(tree):
    (tree / "cgroup.controllers").write_text("memory\n")
    with pytest.raises(FaultError, match=r"has no controller cpu: hand it down from above .*Delegate=yes"):
        groups.groups_for([ProcessId(1, 0.0)], key="k", cores=0.5, memory_bytes=None)
    (found,) = groups.groups_for([ProcessId(1, 0.0)], key="k", cores=None, memory_bytes=1024**2)
    assert found.hands_down == ()
