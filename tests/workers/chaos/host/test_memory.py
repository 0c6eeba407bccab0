"""memory: what the hogs hold, as the kernel counts it page by page; the host keeps what it needs."""

import time
from contextlib import suppress
from pathlib import Path

import pytest

from workers.chaos import own
from workers.chaos.contract import Scene, build
from workers.chaos.host import readings
from workers.chaos.host.memory_room import available_bytes, floor_bytes
from workers.chaos.processes import boot_s, look
from workers.chaos.run import plan, run_fault
from workers.contract.errors import FaultError

MIB = 1024**2
SIZE = 48 * MIB


def _held(pids):
    """The memory that is these processes' own, by their page tables."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                key, _, value = line.partition(":")
                total += int(value.split()[0]) * 1024 if key == "Anonymous" else 0
    return total


def test_memory_is_taken_and_given_back(agent, make_order, hogs, until):
    one = agent(make_order(None, fault="memory", options={"size": "48MiB"}))
    assert one.until_event("injected").touched[0].startswith("memory: 48 MiB of")
    assert one.until_event("verified").took_effect
    assert 0.9 * SIZE < _held(hogs()) < 2 * SIZE
    first_to_go = {Path(f"/proc/{pid}/oom_score_adj").read_text() for pid in hogs()}
    assert first_to_go == {"1000\n"}
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    assert hogs() == []


@pytest.mark.parametrize("guardian", ["lives", "killed"])
def test_memory_is_given_back_when_the_agent_is_killed(survives, make_order, hogs, guardian):
    order = make_order(None, fault="memory", options={"size": "48MiB"})
    survives(order, felt=lambda: _held(hogs()) > 0.9 * SIZE, gone=lambda: hogs() == [], guardian=guardian)


def test_a_share_is_of_what_is_available_and_some_stays_whatever_is_asked(make_order, tmp_path):
    def planned(**options):
        return plan(make_order(None, fault="memory", options=options), ledger=tmp_path).touched

    assert "available" in planned(share="10%")[0]
    with pytest.raises(FaultError, match=r"would leave less than .* that this host needs: say at most"):
        planned(share="100%")
    with pytest.raises(FaultError, match="would leave less"):
        planned(leave="1MiB")
    with pytest.raises(FaultError, match="would leave less"):
        planned(size="1000TiB")
    with pytest.raises(FaultError, match="there is nothing to take"):
        planned(leave="1000TiB")
    assert floor_bytes() >= 256 * MIB
    assert available_bytes() <= readings.memory_bytes("MemTotal")


def test_a_hog_stops_short_of_what_must_stay(tmp_path, hogs, until):
    """Told to leave more than there is, it takes nothing: others may need memory faster than it looks."""
    scene = Scene("k", str(tmp_path), boot_s() + 30.0)
    arguments = [str(SIZE), str(readings.memory_bytes("MemTotal")), "1"]
    hog = own.start("workers.chaos.host.memory_hog", arguments, scene=scene)
    hog.go()
    until(lambda: len(hogs()) == 2)
    until(lambda: all(look(pid).state == "S" for pid in hogs()))
    assert _held(hogs()) < SIZE / 2
    own.end([hog.who])
    hog.let_go()
    until(lambda: hogs() == [])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "exactly one of size, share, leave"),
        ({"size": "1GiB", "share": "10%"}, "exactly one of size, share, leave"),
        ({"size": "1000"}, "say a number and one of B KiB"),
        ({"size": "0B"}, "0 is nothing to take"),
        ({"share": "0%"}, "0 is nothing to take"),
        ({"share": "101%"}, "at most 100%"),
    ],
)
def test_options_that_are_none_are_refused_in_words(options, words):
    with pytest.raises(FaultError, match=words):
        build("memory", options)


def test_a_large_amount_may_take_its_time(make_order, tmp_path, monkeypatch):
    """Where another fault would be given up at once, this one is waited for."""
    monkeypatch.setattr("workers.chaos.hold.TAKES_EFFECT_WITHIN_S", 0.0)
    events = []
    run_fault(
        make_order(None, fault="memory", options={"size": "48MiB"}),
        ledger=tmp_path / "ledger",
        clock=boot_s,
        emit=events.append,
        may_go_on=lambda: "enough" if [event for event in events if event.took_effect] else None,
        wait=time.sleep,
    )
    assert [event.what for event in events] == ["injected", "verified", "reverted"]
    assert events[-1].took_effect
    large = build("memory", {"size": "1GiB"})
    large.check(Scene("k", str(tmp_path), 0.0))
    assert 20.0 < large.takes_effect_within_s < 60.0
