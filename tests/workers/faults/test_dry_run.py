"""What faults would touch on this host, asked of a process of its own; nothing is touched."""

import os
import subprocess
import sys

import psutil
import pytest

from workers.contract.fault_steps import FaultStep
from workers.contract.signed.looks import Look, LookAt, decode_touches, encode_look
from workers.contract.spec import TargetSpec

WITHIN_S = 30.0


@pytest.fixture
def told(tmp_path):
    """The answers of `python -m workers.faults.dry_run`."""

    def ask(*steps, **asked):
        look = Look("q", "me", 0.0, (LookAt("hang", ("any",), steps, **asked),))
        done = subprocess.run(
            [sys.executable, "-m", "workers.faults.dry_run"],
            input=encode_look(look),
            capture_output=True,
            timeout=WITHIN_S,
            check=True,
            env={**os.environ, "SHAKEOUT_HOME": str(tmp_path)},
        )
        return decode_touches(done.stdout)

    return ask


def pause(match):
    return FaultStep("pause-process", {}, match, 0.0, 1.0)


def test_a_fault_says_its_process_and_a_wrong_match_says_why(told, victim, tmp_path):
    words, process = victim
    found, missing = told(pause({"cmdline": words}), pause({"cmdline": "nothing-is-called-so"}))
    assert found.processes == (f"{process.pid} {process.name()} {' '.join(process.cmdline())}",)
    assert (found.step, missing.step) == (0, 1)
    assert (found.refused, missing.processes) == ("", ())
    assert "no process matches" in missing.refused
    assert process.status() == psutil.STATUS_SLEEPING
    assert list(tmp_path.rglob("*.json")) == []


def test_a_match_that_cannot_be_read_and_the_worker_itself_are_refused(told):
    (unread,) = told(pause({"pidfile": "/proc/self/nothing"}))
    assert "holds no pid" in unread.refused
    (own,) = told(pause({"cmdline": "workers.faults.dry_run"}))
    assert "no process matches" in own.refused, "a worker never matches itself"


def test_options_that_do_not_fit_are_refused_by_name(told):
    (wrong,) = told(FaultStep("noop", {"much": 1}, None, 0.0, 1.0))
    assert "much" in wrong.refused


@pytest.mark.parametrize(
    ("url", "touched", "refused"),
    [
        ("http://127.0.0.1:9", ("target chat at http://127.0.0.1:9: 20 requests a second",), ""),
        ("http://192.0.2.7:9", (), "is not on this worker's allow-list"),
        ("http://${env:NOWHERE_AT_ALL}", (), "${env:NOWHERE_AT_ALL} is not set"),
    ],
)
def test_clients_say_whom_they_would_visit_or_why_not(told, url, touched, refused):
    target = TargetSpec("chat", "openai-chat", url, {"url": url, "model": "m"}, timeout_s=5.0)
    (found,) = told(FaultStep("burst", {"rate": "20/s"}, None, 0.0, 1.0), target=target)
    assert found.touched == touched
    assert refused in found.refused
    assert bool(found.refused) == bool(refused)
