"""Commands are bounded in time and in words, and nothing that waits for them can hang."""

import os
import signal
import subprocess
import sys
import time

import pytest

from workers.chaos import commands
from workers.chaos.processes import look, look_at_all
from workers.contract.errors import FaultError


def _sh(script, **more):
    return commands.run(["sh", "-c", script], within_s=more.pop("within_s", 20.0), **more)


def test_the_code_and_the_end_of_what_was_said_come_back():
    ran = _sh("echo one; echo two >&2; exit 3")
    assert ran.code == 3
    assert ran.words() == "ended with 3: one · two"
    assert _sh("true").words() == "ended with 0"


def test_it_reads_what_it_is_told_and_sees_a_bare_environment(monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_WORKER", "x")
    ran = _sh("cat; env; pwd", told=b"told\n")
    assert ran.output.startswith("told\n")
    assert "SECRET_OF_THE_WORKER" not in ran.output
    assert ran.output.endswith("/\n")


def test_one_that_takes_too_long_is_killed_with_all_that_it_started():
    start_s = time.monotonic()
    ran = _sh("echo begun; sleep 4711 & sleep 4712", within_s=0.3)
    assert (ran.code, ran.words()) == (None, "took too long and was ended: begun")
    assert time.monotonic() - start_s < 3 * 5.0
    assert not [
        one for one in look_at_all().values() if one.argv == ("sleep", "4711") and one.state not in "ZX"
    ]


def test_what_it_leaves_in_the_background_is_not_waited_for_though_it_holds_the_pipe(until):
    ran = _sh("sleep 30 & echo $!")
    assert ran.code == 0
    until(lambda: look(int(ran.output)).argv == ("sleep", "30"))  # a shell's child is a shell for a moment
    os.kill(int(ran.output), signal.SIGKILL)


def test_one_that_says_very_much_neither_hangs_nor_fills_the_memory():
    ran = _sh("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo the end")
    assert ran.code == 0
    assert len(ran.output) <= 64 * 1024
    assert ran.words().endswith("the end")
    assert len(ran.words()) < 400


def test_one_that_dies_by_a_signal_is_said_by_name():
    assert _sh("kill -SEGV $$").words() == "was ended by SIGSEGV"


def test_one_that_cannot_be_started_is_said():
    with pytest.raises(FaultError, match="no-such-command cannot be run: No such file"):
        commands.run(["no-such-command"], within_s=1.0)


def test_control_characters_do_not_reach_the_report():
    assert commands.excerpt("a\x1b[31mb\n\n c") == "a?[31mb · c"


def _leashed(script, **more):
    return commands.run_leashed(["sh", "-c", script], within_s=more.pop("within_s", 20.0), **more)


def test_a_leash_changes_nothing_of_how_a_command_ends():
    ran = _leashed("echo one; echo two >&2; env; pwd; exit 3", environment={**commands.BARE, "GIVEN": "x"})
    assert ran.code == 3
    assert ran.output.startswith("one\ntwo\n")
    assert ran.output.endswith("/\n")
    assert "GIVEN=x" in ran.output
    assert "PYTHON" not in ran.output
    assert _leashed("kill -SEGV $$").words() == "was ended by SIGSEGV"
    with pytest.raises(FaultError, match="no-such-command cannot be run: No such file"):
        commands.run_leashed(["no-such-command"], within_s=1.0)


def test_on_a_leash_too_one_that_takes_too_long_is_killed_with_all_that_it_started():
    ran = _leashed("echo begun; sleep 4713 & sleep 4714", within_s=0.3)
    assert (ran.code, ran.words()) == (None, "took too long and was ended: begun")
    assert not [one for one in look_at_all().values() if one.argv[:1] == ("sleep",) and "471" in one.argv[1]]


def test_what_it_leaves_in_the_background_goes_on_without_its_leash(until):
    ran = _leashed("sleep 30 & echo $!")
    until(lambda: look(int(ran.output)).argv == ("sleep", "30"))
    os.kill(int(ran.output), signal.SIGKILL)


ASKS = """
import signal, sys
from workers.chaos import commands
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
print(commands.run_leashed(sys.argv[1:], within_s=60.0).output, flush=True)
"""


def test_a_command_is_ended_when_whoever_asked_for_it_is_killed(until, tmp_path):
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $! $$ > {pids}; wait"
    with subprocess.Popen([sys.executable, "-c", ASKS, "sh", "-c", script]) as asker:
        until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        started = [look(int(pid)).identity() for pid in pids.read_text().split()]
        assert len(started) == 2
        asker.kill()
    until(lambda: not any((now := look(who.pid)) and now.state not in "ZX" for who in started), 5.0)


def test_a_command_hears_polite_signals_though_a_guardian_that_asks_for_it_does_not():
    command = [sys.executable, "-c", ASKS, "grep", "SigIgn", "/proc/self/status"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    deaf = int(said.split()[1], 16)
    named = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE]
    assert [number.name for number in named if deaf >> (number - 1) & 1] == []
