"""descriptors: the host's own count of open files."""

import resource
from pathlib import Path

import pytest

from workers.chaos import own
from workers.chaos.contract import Scene, build
from workers.chaos.host import readings
from workers.chaos.processes import boot_s
from workers.chaos.run import plan
from workers.contract.errors import FaultError

COUNT = 3000


def _held(pids):
    total = 0
    for pid in pids:
        try:
            total += len(list(Path(f"/proc/{pid}/fd").iterdir()))
        except OSError:
            continue
    return total


def _open_on_host():
    return int(Path("/proc/sys/fs/file-nr").read_text().split()[0])


def test_files_are_held_open_and_closed(agent, make_order, hogs):
    one = agent(make_order(None, fault="descriptors", options={"count": COUNT}))
    assert one.until_event("injected").touched[0].startswith(f"open files: {COUNT} of ")
    assert one.until_event("verified").took_effect
    assert _held(hogs()) >= COUNT
    assert _open_on_host() >= COUNT
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    assert hogs() == []


@pytest.mark.parametrize("guardian", ["lives", "killed"])
def test_the_files_are_closed_when_the_agent_is_killed(survives, make_order, hogs, guardian):
    order = make_order(None, fault="descriptors", options={"count": COUNT})
    survives(order, felt=lambda: _held(hogs()) >= COUNT, gone=lambda: hogs() == [], guardian=guardian)


def test_several_processes_hold_what_one_may_not(tmp_path, hogs, until):
    """A hog of 100 files at most, by its hard limit: three of them hold 200."""
    scene = Scene("k", str(tmp_path), boot_s() + 30.0)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    hog = own.start("workers.chaos.host.descriptor_hog", ["200", "3"], scene=scene)
    resource.prlimit(hog.who.pid, resource.RLIMIT_NOFILE, (100, 164))
    hog.go()
    until(lambda: len(hogs()) == 4 and _held(hogs()) >= 200)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
    own.end([hog.who])
    hog.let_go()
    until(lambda: hogs() == [])


def test_more_than_the_host_can_hold_is_refused(make_order, tmp_path):
    with pytest.raises(FaultError, match="would leave less than 4096: say at most"):
        plan(make_order(None, fault="descriptors", options={"leave": 10}), ledger=tmp_path)
    with pytest.raises(FaultError, match="nothing to take"):
        plan(make_order(None, fault="descriptors", options={"leave": 2**62}), ledger=tmp_path)
    used, most = readings.file_handles()
    assert 0 < used < most


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "exactly one of count, share, leave"),
        ({"count": 5, "leave": 5}, "exactly one of count, share, leave"),
        ({"count": 0}, "count"),
        ({"share": "0%"}, "must be above 0%"),
        ({"share": 0.5}, "share"),
    ],
)
def test_options_that_are_none_are_refused_in_words(options, words):
    with pytest.raises(FaultError, match=words):
        build("descriptors", options)


def test_it_lasts_for_its_time(agent, make_order):
    injected, verified, reverted = agent(
        make_order(None, fault="descriptors", for_s=2.0, options={"count": 100})
    ).rest()
    assert (injected.what, verified.what, verified.took_effect) == ("injected", "verified", True)
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    assert reverted.at_s - injected.at_s >= 2.0
