"""What takes a while is done before a fault's moment, unfelt, and nothing of it is left where none comes."""

import signal
import time

import msgspec

from workers.chaos.contract import HostRules, Match
from workers.chaos.ledger import read
from workers.chaos.processes import boot_s, look, send, with_children
from workers.chaos.run import run_fault
from workers.contract.errors import FaultError


def _with_moment(order, ledger, due):
    """Do a fault whose moment `due` decides; what was told."""
    events = []
    run_fault(
        order,
        ledger=ledger,
        clock=boot_s,
        emit=events.append,
        may_go_on=lambda: None,
        wait=time.sleep,
        due=due,
    )
    return events


def test_what_takes_a_while_is_done_before_the_moment_and_nothing_of_it_is_felt(make_order, tmp_path):
    ledger, waiting = tmp_path / "ledger", []

    def due(ahead_s):
        if ahead_s:
            return True
        (path,) = ledger.glob("*.json")
        entry = read(path)
        (hogs,) = entry.scene.own
        waiting.append((entry.began, look(hogs.pid) is not None, len(with_children([hogs]))))
        return True

    order = make_order(None, fault="cpu", for_s=1.0, options={"cores": 1, "load": "20%", "engine": "own"})
    events = _with_moment(order, ledger, due)
    assert waiting == [(False, True, 1)], "it waits: its crew is born when it is told to go"
    assert (events[0].what, events[-1].what) == ("injected", "reverted")
    assert list(ledger.rglob("*.json")) == []


def test_a_moment_that_does_not_come_leaves_nothing_and_says_nothing(orphan, make_order, pinned, tmp_path):
    target = orphan()
    order, ledger = make_order(pinned(target.pid)), tmp_path / "ledger"
    assert _with_moment(order, ledger, lambda _: False) == []
    assert target.state() == "S"
    assert list(ledger.rglob("*.json")) == []

    def refused(_):
        raise FaultError("not injected: an engine works here")

    (failed,) = _with_moment(order, ledger, refused)
    assert (failed.what, failed.why) == ("failed", "not injected: an engine works here")
    assert list(ledger.rglob("*.json")) == []


def test_what_cannot_be_prepared_yet_is_tried_once_more_before_the_moment(
    orphan, make_order, pinned, tmp_path, until
):
    target = orphan()
    send(target.who, signal.SIGSTOP)
    until(lambda: target.state() == "T")
    asked = []

    def due(ahead_s):
        asked.append((ahead_s > 0, len(list((tmp_path / "ledger").glob("*.json")))))
        if len(asked) == 2:
            send(target.who, signal.SIGCONT)
            until(lambda: target.state() == "S")
        return True

    events = _with_moment(make_order(pinned(target.pid), for_s=0.3), tmp_path / "ledger", due)
    assert asked == [(True, 0), (True, 0), (False, 1)]
    assert (events[-1].what, events[-1].took_effect) == ("reverted", True)


def test_a_process_that_is_replaced_before_the_moment_is_found_anew(orphan, make_order, tmp_path, until):
    first, pidfile = orphan(), tmp_path / "pid"
    pidfile.write_text(str(first.pid))
    second = orphan()

    def due(ahead_s):
        if ahead_s:
            return True
        send(first.who, signal.SIGKILL)
        pidfile.write_text(str(second.pid))
        until(lambda: first.state() in "gone Z")
        return True

    events = _with_moment(make_order(Match(pidfile=str(pidfile)), for_s=0.3), tmp_path / "ledger", due)
    assert [who.pid for who in events[0].processes] == [second.pid]
    assert (events[-1].what, events[-1].took_effect) == ("reverted", True)


def test_a_fault_that_waits_for_its_moment_is_in_nobodys_way_and_yields_to_whoever_began(
    orphan, agent, make_order, pinned, tmp_path
):
    target = orphan()
    began = []

    def due(ahead_s):
        if ahead_s:
            return True
        other = agent(make_order(pinned(target.pid)), folder=tmp_path)
        began.append(other)
        assert other.until_event("verified").took_effect, "the one that only waits does not have the target"
        return True

    order = msgspec.structs.replace(make_order(pinned(target.pid)), name="waits")
    (failed,) = _with_moment(order, tmp_path / "ledger", due)
    assert failed.what == "failed"
    assert "one fault a target at a time" in failed.why
    assert target.state() == "T", "the one that began goes on"
    began[0].stop.write_text("over")
    assert began[0].rest()[-1].took_effect


def test_what_cannot_be_prepared_is_told_once_and_as_never_injected(make_order, tmp_path):
    (tmp_path / "break").write_text("#!/bin/sh\n")
    (tmp_path / "break").chmod(0o700)
    options = {"inject": ["break"], "verify": ["break"], "revert": ["break"], "env": {"A": "${env:NOT_SET}"}}
    order = make_order(None, fault="command", options=options, rules=HostRules(user_code=(str(tmp_path),)))
    (failed,) = _with_moment(order, tmp_path / "ledger", lambda _: True)
    assert failed.what == "failed"
    assert "NOT_SET" in failed.why
