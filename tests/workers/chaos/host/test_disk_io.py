"""disk-io: bytes that the jobs move between memory and disk, as /proc counts them."""

from contextlib import suppress
from pathlib import Path

import pytest

from workers.chaos.contract import Scene, build
from workers.chaos.host import disk_room, stress_ng
from workers.chaos.run import plan
from workers.contract.errors import FaultError

MIB = 1024**2
ENGINES = [
    "own",
    pytest.param("stress-ng", marks=pytest.mark.skipif(not stress_ng.program(), reason="needs stress-ng")),
]


@pytest.fixture
def disk(tmp_path):
    """A folder with a disk behind it."""
    if disk_room.in_memory(str(tmp_path)):
        pytest.skip("needs a temporary folder on a disk")
    place = tmp_path / "disk"
    place.mkdir()
    return place


def _moved(pids, key):
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/io").read_text().splitlines():
                name, _, value = line.partition(": ")
                total += int(value) if name == key else 0
    return total


@pytest.mark.parametrize("mode", ["mixed", "read", "write"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_disk_is_busy_for_the_time_and_nothing_stays_on_it(
    agent, make_order, disk, hogs, until, mode, engine
):
    options = {"path": str(disk), "jobs": 1, "size": "8MiB", "mode": mode, "engine": engine}
    one = agent(make_order(None, fault="disk-io", options=options))
    assert one.until_event("verified").took_effect
    until(lambda: _moved(hogs(), "write_bytes") > 7 * MIB)
    if mode != "write" and engine == "own":
        until(lambda: _moved(hogs(), "read_bytes") > MIB)
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    assert hogs() == []
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize("guardian", ["lives", "killed"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_jobs_end_with_their_agent(survives, make_order, disk, hogs, engine, guardian):
    options = {"path": str(disk), "jobs": 2, "size": "8MiB", "engine": engine}
    survives(
        make_order(None, fault="disk-io", options=options),
        felt=lambda: _moved(hogs(), "write_bytes") > MIB,
        gone=lambda: hogs() == [] and list(disk.iterdir()) == [],
        guardian=guardian,
        by_itself=engine == "own",
    )


def test_what_another_program_left_is_removed(disk):
    fault = build("disk-io", {"path": str(disk)})
    scene = Scene("abc", str(disk / "scene"), 0.0)
    (disk / ".shakeout-io-abc" / "deep").mkdir(parents=True)
    (disk / ".shakeout-io-abc-1").write_text("left")
    assert "is still there" in fault.residue(scene)
    fault.revert(scene)
    assert fault.residue(scene) == ""
    assert list(disk.iterdir()) == []


def test_a_disk_that_is_memory_is_refused(make_order, mounted, tmp_path):
    order = make_order(None, fault="disk-io", options={"path": str(mounted("size=64m")), "size": "8MiB"})
    with pytest.raises(FaultError, match="is kept in memory, there is no disk behind it"):
        plan(order, ledger=tmp_path)


def test_files_for_which_there_is_no_room_are_refused(make_order, disk, tmp_path):
    order = make_order(None, fault="disk-io", options={"path": str(disk), "size": "100TiB"})
    with pytest.raises(FaultError, match="400 TiB for the files of 4 jobs cannot be had"):
        plan(order, ledger=tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "path"),
        ({"path": "/tmp", "jobs": 0}, "jobs"),
        ({"path": "/tmp", "jobs": 65}, "jobs"),
        ({"path": "/tmp", "size": "1MiB"}, "must be at least 8 MiB"),
        ({"path": "/tmp", "mode": "seek"}, "mode"),
    ],
)
def test_options_that_are_none_are_refused_in_words(options, words):
    with pytest.raises(FaultError, match=words):
        build("disk-io", options)
