"""A target is ended, stays away for its time and comes back by a command, whoever is killed when."""

import os
import signal
import stat
import sys

import pytest

from workers.chaos.contract import HostRules, Match
from workers.chaos.ledger import reconcile
from workers.chaos.process.restart_process import _LOOKS_AROUND_EVERY_S
from workers.chaos.processes import boot_s, look
from workers.chaos.run import plan
from workers.contract.errors import FaultError

PROMISE_S = 5.0
# as a service does: it leaves its starter, says its pid, and serves
SERVICE = """
import os, signal, sys
from pathlib import Path
{deaf}
pidfile = Path(sys.argv[1])
half = pidfile.with_suffix(".tmp")
half.write_text(str(os.getpid()))
half.replace(pidfile)
while True: signal.pause()
"""
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


class Service:
    """`start` is the command that starts it; `pid` whoever serves now, None if nobody does."""

    def __init__(self, folder):
        self.folder = folder
        self.pidfile = folder / "service.pid"
        self.begun = []

    def write(self, *lines, deaf=""):
        code = SERVICE.format(deaf=deaf)
        (self.folder / "service.py").write_text(code)
        start = f"setsid {sys.executable} {self.folder}/service.py {self.pidfile} >/dev/null 2>&1 &"
        tell = f'echo "$SHAKEOUT_FAULT" >> {self.folder}/starts'
        state = f'grep "^State" "/proc/$(cat {self.pidfile})/status" 2>/dev/null | grep -qv "[ZX] ("'
        look_around = f"{state} && echo served > {self.folder}/found || echo away > {self.folder}/found"
        file, half = self.folder / "start", self.folder / "start.tmp"
        half.write_text("\n".join(("#!/bin/sh", look_around, tell, *(lines or (start,)), "")))
        half.chmod(half.stat().st_mode | stat.S_IXUSR)
        half.replace(file)  # it may be run at any moment

    def found(self):
        """Whether somebody served when it was started last."""
        return (self.folder / "found").read_text().strip()

    def starts(self):
        there = self.folder / "starts"
        return len(there.read_text().splitlines()) if there.exists() else 0

    @property
    def pid(self):
        process = look(int(self.pidfile.read_text())) if self.pidfile.exists() else None
        if process is None or process.state in "ZX" or "service.py" not in " ".join(process.argv):
            return None
        self.begun.append(process.pid)
        return process.pid


@pytest.fixture
def service(tmp_path, until):
    """A service that runs; afterwards none does."""
    folder = tmp_path / "listed"
    folder.mkdir()
    made = Service(folder)
    made.write()
    os.spawnve(os.P_WAIT, str(folder / "start"), ["start"], {"PATH": os.environ["PATH"]})
    until(lambda: made.pid)
    (folder / "starts").unlink()
    yield made
    if made.pid:
        os.kill(made.pid, signal.SIGKILL)
        until(lambda: not made.pid)


@pytest.fixture
def order(make_order, service):
    rules = HostRules(worker="w1", user_code=(str(service.folder),))
    return lambda for_s=30.0, **options: make_order(
        Match(pidfile=str(service.pidfile)),
        fault="restart-process",
        for_s=for_s,
        limit_s=60.0,
        options={"start": ["start"], **options},
        rules=rules,
    )


def test_a_target_is_away_for_its_time_and_then_a_new_one_serves(service, order, agent, until):
    was = service.pid
    one = agent(order(for_s=1.0))
    injected = one.until_event("injected")
    assert [who.pid for who in injected.processes] == [was]
    verified = one.until_event("verified")
    assert verified.took_effect
    (reverted,) = one.rest()
    assert service.found() == "away", "when it was started"
    assert (reverted.what, reverted.took_effect, reverted.why) == ("reverted", True, "")
    assert reverted.at_s - injected.at_s >= 1.0
    assert service.pid not in (None, was)
    assert service.starts() == 1


def test_it_serves_again_when_the_agent_is_killed_in_the_middle(service, order, agent, until):
    one = agent(order())
    one.until_event("verified")
    assert service.pid is None
    one.process.kill()
    until(lambda: service.pid, PROMISE_S)
    until(lambda: not one.open_entries() and not one.guardians(), PROMISE_S)
    one.process.wait(PROMISE_S)
    assert service.starts() == 1
    assert [found.by for found in reconcile(one.ledger)] == ["guardian"]


def test_it_serves_again_by_the_next_life_when_guardian_and_agent_are_killed(service, order, agent):
    one = agent(order())
    one.until_event("verified")
    one.process.send_signal(signal.SIGSTOP)
    os.kill(one.guardians()[0], signal.SIGKILL)
    one.process.kill()
    one.process.wait(PROMISE_S)
    assert service.pid is None
    assert [found.by for found in reconcile(one.ledger)] == ["next worker"]
    assert service.pid
    assert service.starts() == 1


def test_a_target_that_ignores_a_polite_end_is_said_and_replaced_once(service, order, agent, until):
    os.kill(service.pid, signal.SIGKILL)
    service.write(deaf=DEAF)
    os.spawnve(os.P_WAIT, str(service.folder / "start"), ["start"], {"PATH": os.environ["PATH"]})
    until(lambda: service.pid)
    was = service.pid
    events = agent(order(for_s=1.0, signal="TERM")).rest()
    verified = next(event for event in events if event.what == "verified")
    assert verified.took_effect is False
    assert "lives in spite of SIGTERM" in verified.why
    assert events[-1].what == "reverted"
    assert service.pid not in (None, was)


def test_somebody_who_brings_it_back_early_is_noticed(service, order, agent, until):
    one = agent(order())
    one.until_event("verified")
    os.spawnve(os.P_WAIT, str(service.folder / "start"), ["start"], {"PATH": os.environ["PATH"]})
    until(lambda: service.pid)
    back_s = boot_s()
    until(lambda: boot_s() - back_s > _LOOKS_AROUND_EVERY_S)
    one.stop.write_text("enough")  # its last look comes after this
    reverted = one.rest()[-1]
    assert reverted.took_effect is False
    assert "is back before its time" in reverted.why
    assert service.starts() == 1, "it is not started twice"


def test_a_command_that_does_not_start_it_is_residue_until_it_does(service, order, agent, until):
    service.write("echo no licence; exit 2")
    one = agent(order(for_s=0.5))
    residue = one.until_event("residue")
    assert "the target is not started again: start ended with 2: no licence" in residue.why
    service.write()
    assert one.rest()[-1].what == "reverted"
    assert service.pid


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": ["no-such"]}, "has no command no-such"),
        ({"start": []}, "length >= 1"),
        ({"signal": "HUP"}, "say KILL or TERM"),
        ({"within": "1h"}, "at most 60s"),
        ({"start": ["start", "${file:key}"]}, "no secret may stand in a command line"),
    ],
)
def test_what_cannot_bring_it_back_does_not_end_it(service, order, tmp_path, options, words):
    with pytest.raises(FaultError, match=words):
        plan(order(**options), ledger=tmp_path)
    assert service.pid
