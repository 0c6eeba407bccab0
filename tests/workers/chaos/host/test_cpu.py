"""cpu: the hogs' time on a core, as /proc counts it; ended with their agent, whoever else dies."""

import os
import time
from pathlib import Path

import pytest

from workers.chaos.contract import Scene, build
from workers.chaos.host import readings, stress_ng
from workers.chaos.processes import boot_s
from workers.chaos.run import plan
from workers.contract.errors import FaultError

ENGINES = [
    "own",
    pytest.param("stress-ng", marks=pytest.mark.skipif(not stress_ng.program(), reason="needs stress-ng")),
]
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _used_s(pids):
    """The time that these processes were on a core."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS_PER_S


@pytest.mark.parametrize("engine", ENGINES)
def test_cores_are_busy_and_not_afterwards(agent, make_order, hogs, until, engine):
    one = agent(make_order(None, fault="cpu", options={"cores": 1, "engine": engine}))
    injected = one.until_event("injected")
    assert injected.touched == (f"cpu: 1 of {readings.cores()} cores, 100% of each",)
    assert one.until_event("verified").took_effect
    began_s = _used_s(hogs())
    until(lambda: _used_s(hogs()) > began_s + 0.2)
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    assert hogs() == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_load_is_a_share_of_each_core(agent, make_order, hogs, engine):
    options = {"load": "30%", "engine": engine}
    one = agent(make_order(None, fault="cpu", options=options))
    assert one.until_event("verified").took_effect
    began_s, before_s = time.monotonic(), _used_s(hogs())
    time.sleep(1.0)  # a span to measure over
    used_s, span_s = _used_s(hogs()) - before_s, time.monotonic() - began_s
    assert 0 < used_s < 0.5 * span_s * readings.cores()
    one.stop.write_text("enough")
    assert one.rest()[-1].took_effect


@pytest.mark.parametrize("guardian", ["lives", "killed"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_hogs_end_with_their_agent(survives, make_order, hogs, engine, guardian):
    order = make_order(
        None, fault="cpu", options={"cores": 2, "engine": engine} if readings.cores() > 1 else {}
    )
    survives(order, felt=lambda: _used_s(hogs()) > 0.3, gone=lambda: hogs() == [], guardian=guardian)


def test_hogs_that_somebody_ends_are_no_effect(agent, make_order, hogs, until):
    one = agent(make_order(None, fault="cpu", options={"cores": 1, "engine": "own"}))
    assert one.until_event("verified").took_effect
    (leader,) = [pid for pid in hogs() if os.getsid(pid) == pid]
    os.kill(leader, 9)
    until(lambda: hogs() == [])
    time.sleep(1.2)  # until the last second has seen none of them
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert reverted.took_effect is False
    assert "the hogs used or waited for" in reverted.why


def test_more_cores_than_there_are_cannot_be(make_order, tmp_path):
    with pytest.raises(FaultError, match=f"this worker may use {readings.cores()}; say at most that, or all"):
        plan(make_order(None, fault="cpu", options={"cores": 4096}), ledger=tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"load": "120%"}, "at most 100%"),
        ({"load": "0%"}, "must be above 0%"),
        ({"load": "0.5"}, "say a number and one of %"),
        ({"cores": 0}, "cores"),
        ({"cores": "most"}, "cores"),
        ({"engine": "yes"}, "engine"),
    ],
)
def test_options_that_are_none_are_refused_in_words(options, words):
    with pytest.raises(FaultError, match=words):
        build("cpu", options)


@pytest.mark.skipif(bool(stress_ng.program()), reason="stress-ng is here")
def test_a_program_that_is_not_there_is_said(make_order, tmp_path):
    with pytest.raises(FaultError, match="install it, or say engine: own"):
        plan(make_order(None, fault="cpu", options={"engine": "stress-ng"}), ledger=tmp_path)


def test_nothing_is_felt_before_the_word(tmp_path, hogs):
    scene = Scene("k", str(tmp_path), boot_s() + 30.0)
    fault = build("cpu", {"cores": 1, "engine": "own"})
    (hog,) = fault.prepare(scene)
    assert hogs() == [hog.who.pid]
    before_s = _used_s(hogs())
    time.sleep(0.3)  # in which it could burn
    assert _used_s(hogs()) - before_s < 0.1
    hog.let_go()
