"""Control groups as they are on this host: which one a process is in, and what it allows."""

import os

import pytest

from workers.chaos.host import cgroups
from workers.chaos.host.cgroups import Hierarchy, cpu_quota_cores, folder_of, hierarchy_of, memory_room_bytes
from workers.chaos.host.mounts import Mount, kind_at, mounts
from workers.chaos.processes import is_alive
from workers.contract.errors import FaultError

MIB = 1024**2


@pytest.fixture
def limited(orphan, until):
    """A process in groups of its own with a quota and a limit."""
    target = orphan()
    made = []
    for controller, settings in (
        ("cpu", {"cpu.cfs_quota_us": "30000"}),
        ("memory", {"memory.limit_in_bytes": str(200 * MIB)}),
    ):
        hierarchy = hierarchy_of(controller)
        if hierarchy is None or hierarchy.version != 1:
            pytest.skip("needs cgroup v1 for this")
        _, home = folder_of(target.pid, controller)
        folder = home / f"test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError as error:
            pytest.skip(f"no group can be made here: {error}")
        made.append(folder)
        for name, value in settings.items():
            (folder / name).write_text(value)
        (folder / "cgroup.procs").write_text(str(target.pid))
    yield target
    os.kill(target.pid, 9)
    until(lambda: not is_alive(target.who))
    for folder in made:
        until(lambda folder=folder: (folder / "cgroup.procs").read_text() == "")
        folder.rmdir()


def test_what_the_groups_of_a_process_allow_is_known(limited):
    assert cpu_quota_cores(limited.pid) == 0.3
    assert 100 * MIB < memory_room_bytes(limited.pid) <= 200 * MIB


def test_a_group_that_is_not_to_be_seen_is_said(tmp_path):
    tree = Hierarchy(1, tmp_path, "/docker/abc")
    (tmp_path / "service").mkdir()
    assert cgroups._below(tree, "/docker/abc", pid=1) == tmp_path
    assert cgroups._below(tree, "/docker/abc/service", pid=1) == tmp_path / "service"
    for path in ("/docker/abcdef", "/other", "/docker/abc/gone", "/docker/abc/../x"):
        with pytest.raises(FaultError, match="run the worker on the host itself"):
            cgroups._below(tree, path, pid=1)


def test_mounts_are_read_as_the_kernel_writes_them(mounted):
    place = mounted("size=1m")
    assert Mount(str(place), "/", "tmpfs", mounts()[-1].options) == mounts()[-1]
    assert kind_at(str(place)) == "tmpfs"
    assert kind_at(str(place / "not-yet")) == "tmpfs"
    assert kind_at("/proc/self") == "proc"
    blank = place / "a blank"
    assert kind_at(str(blank)) == "tmpfs"
