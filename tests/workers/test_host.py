import socket
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from workers import host


@pytest.fixture
def groups(tmp_path):
    """`own` as /proc/self/cgroup has it, and the root of all groups."""

    def make(own):
        (tmp_path / "own").write_text(own)
        return tmp_path / "own", tmp_path / "groups"

    return make


@pytest.fixture
def many_cores(monkeypatch):
    """A process that may run on 16 cores."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(16)))


def write(root, **files):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def test_this_host_is_described():
    assert host.kernel().startswith("Linux ")
    assert host.cpu_model()
    assert host.python_version().count(".") == 2
    assert 1 <= host.cores() <= (psutil.cpu_count() or 1)
    assert 0 < host.memory_bytes() <= psutil.virtual_memory().total


def test_cores_are_those_of_the_affinity_where_nothing_else_limits(many_cores, groups):
    own, root = groups("0::/")
    assert host.cores(own, root) == 16


@pytest.mark.parametrize(
    ("quota", "cores"), [("400000 100000", 4), ("250000 100000", 2), ("50000 100000", 1)]
)
def test_a_quota_cuts_the_cores_to_whole_ones_but_never_to_none(many_cores, groups, quota, cores):
    own, root = groups("0::/pod/box")
    write(root, **{"pod/box/cpu.max": quota})
    assert host.cores(own, root) == cores


def test_the_tightest_group_on_the_way_up_limits(many_cores, groups):
    own, root = groups("0::/pod/box")
    write(
        root, **{"pod/box/cpu.max": "max 100000", "pod/cpu.max": "300000 100000", "cpu.max": "900000 100000"}
    )
    assert host.cores(own, root) == 3


def test_the_first_version_of_control_groups_limits_too(many_cores, groups):
    own, root = groups("4:memory:/box\n3:cpu,cpuacct:/box\n0::/\n")
    write(
        root,
        **{
            "cpu,cpuacct/box/cpu.cfs_quota_us": "200000",
            "cpu,cpuacct/box/cpu.cfs_period_us": "100000",
            "memory/box/memory.limit_in_bytes": str(1 << 20),
        },
    )
    assert host.cores(own, root) == 2
    assert host.memory_bytes(own, root) == 1 << 20


def test_a_group_without_a_limit_takes_nothing_away(many_cores, groups):
    own, root = groups("4:memory:/box\n3:cpu:/box\n")
    write(
        root,
        **{
            "cpu/box/cpu.cfs_quota_us": "-1",
            "cpu/box/cpu.cfs_period_us": "100000",
            "memory/box/memory.limit_in_bytes": "9223372036854771712",
        },
    )
    assert host.cores(own, root) == 16
    assert host.memory_bytes(own, root) == psutil.virtual_memory().total


def test_memory_is_cut_to_the_limit_of_the_group(groups):
    own, root = groups("0::/pod/box")
    write(root, **{"pod/memory.max": str(1 << 21), "pod/box/memory.max": "max"})
    assert host.memory_bytes(own, root) == 1 << 21


def test_the_processor_is_the_one_that_the_kernel_names(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9454\n\nmodel name\t: another\n")
    assert host.cpu_model(file) == "AMD EPYC 9454"
    file.write_text("processor\t: 0\nBogoMIPS\t: 50.00\n")
    assert host.cpu_model(file) == host.cpu_model(Path("nowhere")) != ""


def test_addresses_are_those_that_others_can_reach_it_by(monkeypatch):
    def interface(family, address):
        return SimpleNamespace(family=family, address=address)

    found = {
        "lo": [interface(socket.AF_INET, "127.0.0.1"), interface(socket.AF_INET6, "::1")],
        "eth0": [
            interface(socket.AF_INET, "10.0.0.5"),
            interface(socket.AF_INET6, "2001:DB8::5"),
            interface(socket.AF_INET6, "fe80::1%eth0"),
            interface(psutil.AF_LINK, "aa:bb:cc:dd:ee:ff"),
        ],
    }
    monkeypatch.setattr("psutil.net_if_addrs", lambda: found)
    assert host.addresses() == ("10.0.0.5", "2001:db8::5")
