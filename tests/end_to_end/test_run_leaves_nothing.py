"""However `shakeout run` ends: silent, its faults reverted, it says who ended it, and leaves results only."""

import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ABORTED = 5
WAIT_S = 60.0
SILENT_S = 2.0 * 3
"""Promised: silent within 2 s; asserted at three times that."""
GONE_S = 5.0 * 3
"""Of a killed run all is gone within 5 s; asserted at three times that."""
FILES = {
    "campaign.yaml", "journal.jsonl", "intervals.parquet", "report.json", "report.html", "junit.xml",
    "report.md",
}  # fmt: skip
PAUSE = """
      - name: hang
        kind: chaos
        fault: pause-process
        match: {{port: {port}}}
        at: 1s
        for: 10s
"""
SLEEPY_WORKERS = """
import sys, time
if sys.orig_argv[1:3] == ["-m", "workers"]:
    time.sleep(60)
"""
SLOS = '        slos: ["success_rate >= 90%"]\n'


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until) -> Iterator[tuple[Path, ...]]:
    """Empty folders as home and temporary folder of who calls; nothing may appear there, or in /dev/shm."""
    found = (tmp_path / "home", tmp_path / "tmp")
    for place in found:
        place.mkdir()
    monkeypatch.setenv("HOME", str(found[0]))
    monkeypatch.setenv("TMPDIR", str(found[1]))
    shared = set(Path("/dev/shm").iterdir())
    yield found
    assert not [path for place in found for path in place.rglob("*")]
    until(lambda: set(Path("/dev/shm").iterdir()) <= shared, within_s=GONE_S)


def strays(places: tuple[Path, ...]) -> list[psutil.Process]:
    """Processes that were started by a run with these folders, whoever their parent is now."""
    found = []
    for one in psutil.process_iter():
        try:
            told = one.environ().get("TMPDIR")
            ours = told == str(places[1]) and one.status() != psutil.STATUS_ZOMBIE
            if ours and "workers.demo_target" not in one.cmdline():
                found.append(one)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def held(target, load) -> Callable[[], tuple[object, str]]:
    """A target of one's own, and a campaign that pauses it from second 1 on."""

    def start() -> tuple[object, str]:
        demo = target()
        port = demo.url.rsplit(":", 1)[1]
        text = load(demo.url, duration="14s", shards=1, rate="50/s")
        assert text.endswith(SLOS)
        return demo, text + PAUSE.format(port=port).removeprefix("\n")

    return start


def paused(demo) -> bool:
    return psutil.Process(demo.process.pid).status() == psutil.STATUS_STOPPED


def sent_after(demo, moment_ns: int) -> list[dict[str, object]]:
    return [line for line in demo.received() if line["received_ns"] > moment_ns]


def _broker(process: psutil.Process) -> str:
    try:
        return process.environ().get("SHAKEOUT_BROKER", "")
    except psutil.Error:  # it ends just now
        return ""


def test_a_run_that_ends_by_itself_leaves_its_results_and_nothing_else(
    run, target, load, places, until
) -> None:
    demo = target()
    one = run(load(demo.url, duration="3s"))
    until(demo.received)
    broker = until(lambda: next(filter(None, map(_broker, one.family())), ""))
    password = broker.split("@")[0].rsplit(":", 1)[1]
    assert len(password) > 20
    shown = [" ".join(child.info["cmdline"] or ()) for child in psutil.process_iter(["cmdline"])]
    assert any("valkey-server" in line for line in shown)
    assert not [line for line in shown if password in line]
    assert one.wait() == 0, one.output
    assert not one.survivors()
    assert not strays(places)
    assert {path.name for path in one.folder.rglob("*")} == FILES
    assert not [path for path in one.folder.iterdir() if password.encode() in path.read_bytes()]
    assert "\x1b" not in one.output, "no escape codes on a pipe"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_the_load_reverts_the_fault_and_still_writes_the_report(
    run, held, places, until, number: signal.Signals
) -> None:
    demo, text = held()
    one = run(text)
    until(lambda: paused(demo), within_s=WAIT_S)
    one.family()
    one.process.send_signal(number)
    told_ns = time.monotonic_ns()
    until(lambda: not paused(demo), within_s=SILENT_S)
    assert one.wait() == ABORTED, one.output
    assert not sent_after(demo, told_ns + int(SILENT_S * 1e9))
    report = one.report()
    assert number.name in report["reasons"][0], report["reasons"]
    assert "aborted by" in report["reasons"][0]
    assert number.name in one.output
    (fault,) = report["faults"]
    assert fault["reverted"] is not None
    until(lambda: not (one.survivors() or strays(places)), within_s=GONE_S)
    assert {path.name for path in one.folder.rglob("*")} == FILES


def test_a_second_signal_ends_everything_at_once(run, held, places, until) -> None:
    demo, text = held()
    one = run(text)
    until(lambda: paused(demo), within_s=WAIT_S)
    one.family()
    one.process.send_signal(signal.SIGINT)
    one.process.send_signal(signal.SIGTERM)
    assert one.wait(GONE_S) == ABORTED, one.output
    until(lambda: not (one.survivors() or strays(places) or paused(demo)), within_s=GONE_S)
    assert not (one.folder / "work").exists()


def test_a_signal_before_the_fleet_stands_leaves_no_trace(run, target, load, places, until, tmp_path) -> None:
    demo = target()
    (tmp_path / "sitecustomize.py").write_text(SLEEPY_WORKERS)
    one = run(load(demo.url), PYTHONPATH=str(tmp_path))
    until(lambda: one.find("workers"), within_s=WAIT_S)
    one.process.send_signal(signal.SIGINT)
    assert one.wait() == ABORTED, one.output
    assert "stopped before anything was sent" in one.output
    assert not demo.received()
    assert not one.folder.exists()
    until(lambda: not (one.survivors() or strays(places)), within_s=GONE_S)


def test_a_signal_while_a_target_is_waited_for_ends_the_run_with_its_report(
    run, load, places, until, tmp_path
) -> None:
    with (tmp_path / "said").open("w") as said:
        one = run(load("http://127.0.0.1:9"), stdout=said.fileno())
    until(lambda: "waiting, connection refused" in (tmp_path / "said").read_text(), within_s=WAIT_S)
    one.family()
    one.process.send_signal(signal.SIGTERM)
    assert one.wait() == ABORTED, (tmp_path / "said").read_text()
    assert "SIGTERM" in one.report()["reasons"][0]
    until(lambda: not (one.survivors() or strays(places)), within_s=GONE_S)


def test_a_killed_run_takes_everything_with_it_and_its_fault_is_reverted(run, held, places, until) -> None:
    demo, text = held()
    one = run(text)
    until(lambda: paused(demo), within_s=WAIT_S)
    assert len(one.family()) > 4
    one.process.kill()
    killed_ns = time.monotonic_ns()
    until(lambda: not (one.survivors() or strays(places)), within_s=GONE_S)
    until(lambda: not paused(demo), within_s=GONE_S)
    one.wait()
    assert not sent_after(demo, killed_ns + int(SILENT_S * 1e9))


def test_json_is_all_that_stands_on_stdout(tmp_path, target, load) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text(load(target().url, duration="2s", shards=1, rate="50/s"))
    ended = subprocess.run(
        [sys.executable, "-m", "orchestrator", "run", str(file), "--out", str(tmp_path / "out"), "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=3 * WAIT_S, check=False,
    )  # fmt: skip
    told = json.loads(ended.stdout)
    assert ended.returncode == 0, ended
    assert told["verdict"] == json.loads(Path(told["report"]).read_text())["verdict"] == "pass"


def test_a_terminal_shows_live_bars_with_rate_percentiles_faults_and_slos(run, held, tmp_path) -> None:
    _, text = held()
    text = text.replace("for: 10s", "for: 4s").replace("duration: 14s", "duration: 8s")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    one = run(text, stdout=theirs)
    os.close(theirs)
    shown = _read_all(ours)
    one.wait()
    assert "\x1b[" in shown
    assert "━" in shown
    for word in (
        "peak-load",
        "running",
        "p50",
        "p99",
        "/s",
        "hang",
        "injected",
        "success_rate >= 90%",
        "so far",
    ):
        assert word in shown, word
    assert "verdict: " in shown


def _read_all(descriptor: int) -> str:
    """What a terminal was sent until its last writer closed it."""
    taken, until_s = b"", time.monotonic() + 3 * WAIT_S
    while time.monotonic() < until_s:
        if not select.select([descriptor], [], [], 1)[0]:
            continue
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # how Linux says that no writer is left
            break
        if not piece:
            break
        taken += piece
    os.close(descriptor)
    return taken.decode("utf-8", "replace")
