"""When the engine must be silent: outside its authorisation, and when nobody is in charge any more."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from workers.engine import wire

QUICK = ("--service-time", "2ms")
_ORPHAN = """
import os, subprocess, sys
frames = open(sys.argv[1], "rb").read()
child = subprocess.Popen(
    [sys.executable, "-m", "workers.engine", "--parent", str(os.getpid())],
    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=(int(sys.argv[2]),) if sys.argv[2:] else (),
)
child.stdin.write(frames); child.stdin.flush()
print(child.pid, flush=True)
child.wait()
"""


def _wait(check, within_s=10.0):
    until_s = time.monotonic() + within_s
    while not (value := check()):
        assert time.monotonic() < until_s, "waited too long"
        time.sleep(0.02)
    return value


def test_without_authorisation_nothing_is_sent_and_past_it_the_engine_is_silent(demo, engine, load):
    target = demo(*QUICK)
    child = engine(load(target.url, rate=200.0, duration_s=20.0))
    child.listen(wire.Prepared)
    child.begin(in_s=0.0)
    child.listen(wire.Taken)
    assert target.ids() == []
    fence_ns = time.monotonic_ns() + 1_000_000_000
    child.authorise(1.0)
    end = child.finished()
    assert (end.outcome, "authorisation" in end.why) == ("stopped", True)
    received = [line["received_ns"] for line in target.lines("received")]
    assert received
    assert max(received) < fence_ns + 1_000_000_000  # as the target had it
    assert target.indices() == list(range(end.dispatched))
    assert child.outcomes()["ok"] + child.outcomes()["abandoned"] == end.dispatched


def test_what_stands_in_line_when_the_authorisation_ends_is_left_to_a_successor(demo, engine, load):
    target = demo("--service-time", "300ms")
    child = engine(load(target.url, rate=50.0, duration_s=20.0, max_in_flight=2))
    child.listen(wire.Prepared)
    child.authorise(1.0)
    fence_ns = time.monotonic_ns() + 1_000_000_000
    child.begin(in_s=0.0)
    end = child.finished(within_s=5.0)
    assert max(line["received_ns"] for line in target.lines("received")) < fence_ns + 1_000_000_000
    assert target.indices() == list(range(end.dispatched))
    assert child.outcomes() == {"ok": end.dispatched}


def test_an_engine_whose_parent_is_killed_falls_silent(demo, engine, load, prepare, tmp_path):
    target = demo(*QUICK)
    now_ns, boot_ns = time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    orders = (
        prepare(load(target.url, rate=100.0, duration_s=60.0), str(tmp_path / "mark")),
        wire.Begin(now_ns, 0.0, 0.0),
        wire.Authorise(boot_ns + 60_000_000_000),
    )
    frames = tmp_path / "frames"
    frames.write_bytes(b"".join(wire.frame(order) for order in orders))
    parent = subprocess.Popen([sys.executable, "-c", _ORPHAN, str(frames)], stdout=subprocess.PIPE)
    pid = int(parent.stdout.readline())
    _wait(lambda: len(target.ids()) > 20)
    parent.kill()
    parent.wait()
    killed_ns = time.monotonic_ns()
    parent.stdout.close()
    _wait(lambda: not Path(f"/proc/{pid}").exists() or _state(pid) == "Z", within_s=2.0)
    assert max(line["received_ns"] for line in target.lines("received")) < killed_ns + 1_500_000_000


def test_a_stopped_engine_that_wakes_past_its_fence_sends_nothing(demo, engine, load):
    target = demo(*QUICK)
    child = engine(load(target.url, rate=100.0, duration_s=20.0))
    child.listen(wire.Prepared)
    child.authorise(1.0)
    child.begin(in_s=0.0)
    _wait(lambda: len(target.ids()) > 10)
    child.process.send_signal(signal.SIGSTOP)
    _wait(lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) and len(target.lines("answered")) > 0)
    before = time.monotonic() + 1.2
    _wait(lambda: time.monotonic() > before)
    woken_ns = time.monotonic_ns()
    child.process.send_signal(signal.SIGCONT)
    assert child.finished(within_s=5.0).outcome == "stopped"
    assert max(line["received_ns"] for line in target.lines("received")) < woken_ns


def test_the_end_of_the_order_pipe_is_the_end_of_the_engine(engine):
    child = engine()
    child.process.stdin.close()
    assert child.process.wait(5.0) == 0


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"
