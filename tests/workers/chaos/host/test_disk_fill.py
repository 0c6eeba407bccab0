"""disk-fill: what others find free, and whether they can still write."""

import os
import subprocess
from pathlib import Path

import pytest

from workers.chaos.contract import HostRules, Scene, build
from workers.chaos.host.disk_room import LEDGER_NEEDS_BYTES, open_nameless, room
from workers.chaos.run import plan
from workers.contract.errors import FaultError

MIB = 1024**2


def _free(folder):
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _write(folder, size):
    """What another process meets that writes so many MiB there, and cleans up behind it."""
    done = subprocess.run(
        ["dd", "if=/dev/zero", f"of={folder}/other", "bs=1M", f"count={size}"],
        capture_output=True,
        text=True,
        check=False,
    )
    (folder / "other").unlink()
    return done.stderr


@pytest.mark.parametrize("options", [{"size": "40MiB"}, {"share": "62.5%"}, {"leave": "24MiB"}])
def test_others_run_out_of_room_and_have_it_back(agent, make_order, mounted, options):
    disk = mounted("size=64m")
    one = agent(make_order(None, fault="disk-fill", options={"path": str(disk), **options}))
    assert one.until_event("injected").touched == (f"disk of {disk}: 40 MiB of 64 MiB free",)
    assert one.until_event("verified").took_effect
    assert abs(_free(disk) - 24 * MIB) < MIB
    assert list(disk.iterdir()) == []
    assert "No space left on device" in _write(disk, 30)
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    assert _free(disk) == 64 * MIB
    assert "No space left" not in _write(disk, 30)


def test_a_disk_can_be_filled_to_the_last_block(agent, make_order, mounted):
    disk = mounted("size=16m")
    one = agent(make_order(None, fault="disk-fill", options={"path": str(disk), "leave": "0B"}))
    assert one.until_event("verified").took_effect
    assert _free(disk) < MIB
    one.stop.write_text("enough")
    assert one.rest()[-1].took_effect
    assert _free(disk) == 16 * MIB


@pytest.mark.parametrize("guardian", ["lives", "killed"])
def test_the_room_is_free_again_when_the_agent_is_killed(survives, make_order, mounted, hogs, guardian):
    disk = mounted("size=64m")
    order = make_order(None, fault="disk-fill", options={"path": str(disk), "size": "40MiB"})
    survives(
        order,
        felt=lambda: _free(disk) < 25 * MIB,
        gone=lambda: _free(disk) == 64 * MIB and hogs() == [],
        guardian=guardian,
    )


def test_a_real_disk_drops_by_the_size(agent, make_order, tmp_path, hogs):
    one = agent(make_order(None, fault="disk-fill", options={"path": str(tmp_path), "size": "64MiB"}))
    assert one.until_event("verified").took_effect
    (holder,) = [pid for pid in hogs() if os.getsid(pid) != pid]
    links = Path(f"/proc/{holder}/fd").iterdir()
    nameless = [link.stat() for link in links if str(link.readlink()).endswith("(deleted)")]
    assert max(found.st_blocks * 512 for found in nameless) >= 64 * MIB
    one.stop.write_text("enough")
    assert one.rest()[-1].took_effect
    assert hogs() == []


def test_a_disk_without_nameless_files_keeps_a_name_for_a_moment_only(tmp_path, monkeypatch):
    opened = os.open

    def refuse(path, flags, *rest, **more):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(95, "Operation not supported")
        return opened(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    handle = open_nameless(str(tmp_path), ".shakeout-fill-k")
    assert os.fstat(handle).st_nlink == 0
    assert list(tmp_path.iterdir()) == []
    os.close(handle)


def test_a_name_that_a_death_left_is_found_and_removed(tmp_path):
    fault = build("disk-fill", {"path": str(tmp_path), "size": "1MiB"})
    scene = Scene("abc", str(tmp_path / "scene"), 0.0)
    (tmp_path / ".shakeout-fill-abc").write_text("left")
    (tmp_path / ".shakeout-fill-another").write_text("of another fault")
    assert ".shakeout-fill-abc is still there" in fault.residue(scene)
    fault.revert(scene)
    fault.revert(scene)
    assert fault.residue(scene) == ""
    assert [path.name for path in tmp_path.iterdir()] == [".shakeout-fill-another"]


def test_the_ledgers_own_disk_keeps_room_for_it(make_order, mounted, tmp_path):
    disk = mounted("size=80m")
    order = make_order(None, fault="disk-fill", options={"path": str(disk), "size": "40MiB"})
    with pytest.raises(
        FaultError, match=r"64 MiB must stay for the worker's own ledger\): say at most 16 MiB"
    ):
        plan(order, ledger=disk / "home" / "ledger")
    assert plan(order, ledger=tmp_path / "ledger").touched
    assert room(str(disk), Scene("k", str(disk), 0.0)).usable_bytes == 80 * MIB - LEDGER_NEEDS_BYTES
    elsewhere = Scene("k", str(tmp_path), 0.0, rules=HostRules(home=str(disk)))
    assert room(str(disk), elsewhere).usable_bytes == 80 * MIB - LEDGER_NEEDS_BYTES


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "data", "size": "1MiB"}, "say an absolute path"),
        ({"path": "/no/such/folder", "size": "1MiB"}, "is no folder of this host"),
        ({"path": "/proc", "size": "1MiB"}, "has no size"),
        ({"path": "/tmp", "size": "1000TiB"}, "cannot be taken of"),
        ({"path": "/tmp", "leave": "1000TiB"}, "nothing to take"),
    ],
)
def test_a_folder_that_cannot_be_filled_is_refused_in_words(make_order, tmp_path, options, words):
    with pytest.raises(FaultError, match=words):
        plan(make_order(None, fault="disk-fill", options=options), ledger=tmp_path)


def test_a_disk_that_cannot_be_written_to_is_refused(make_order, mounted, tmp_path, as_nobody):
    disk = mounted("size=8m,ro")
    order = make_order(None, fault="disk-fill", options={"path": str(disk), "size": "1MiB"})
    with pytest.raises(FaultError, match="cannot be written to by this worker: Read-only file system"):
        plan(order, ledger=tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": "1MiB"}, "path"),
        ({"path": "/tmp"}, "exactly one of size, share, leave"),
        ({"path": "/tmp", "size": "1MiB", "leave": "1MiB"}, "exactly one of size, share, leave"),
        ({"path": "/tmp", "size": "much"}, "say a number and one of B KiB"),
        ({"path": "/tmp", "share": "0%"}, "0 is nothing to take"),
    ],
)
def test_options_that_are_none_are_refused_in_words(options, words):
    with pytest.raises(FaultError, match=words):
        build("disk-fill", options)
