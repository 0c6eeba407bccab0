"""What must hold while a fault is on, judged on servers whose doings are known: answers, errors, tries."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "invariants.yaml"
GOLDEN = [{"id": f"c{n}", "request": {"n": n}, "expected": {"json": {"twice": 2 * n}}} for n in range(8)]
CAMPAIGN = """
campaign: lies
seed: 3
validity: {{lag_p99: 2s, start_skew: 10s}}
targets:
  ranker: {{protocol: json-http, url: "http://127.0.0.1:{listen}", timeout: 5s}}
phases:
  - name: only
    activities:
      - name: traffic
        kind: load
        target: ranker
        shards: 1
        arrivals: {{process: constant, rate: 20/s}}
        duration: 19s
        data: golden.jsonl
        retries: {{attempts: 2, on: [http_503], backoff: 20ms, jitter: none, budget: 100%}}
        slos: ["success_rate >= 10%"]
      - name: golden
        kind: regression
        target: ranker
        golden: golden.jsonl
        repeats: 75
        concurrency: 1
        slos: ["never(invalid) during lie", "never(http_5xx) during lie", "pass_rate >= 100% during lie",
               "never(invalid) during refuse", "never(http_503) during refuse",
               "pass_rate >= 50% during refuse",
               "pass_rate >= 100% outside faults", "never(invalid) outside faults"]
      - name: lie
        kind: chaos
        at: 11s
        for: 2s
        fault: dependency
        with: {{listen: {listen}, upstream: "127.0.0.1:{port}", answer: wrong}}
      - name: refuse
        kind: chaos
        at: 15s
        for: 2s
        fault: tcp-proxy
        with: {{listen: {listen}, upstream: "127.0.0.1:{port}", status: 503}}
"""


class Doubling(BaseHTTPRequestHandler):
    """Answers twice the number, 25 ms after it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        threading.Event().wait(0.025)
        body = json.dumps({"twice": 2 * asked["n"]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def doubling() -> Iterator[int]:
    """The port of a server that tells the truth."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Doubling)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def _free_port() -> int:
    with ThreadingHTTPServer(("127.0.0.1", 0), Doubling) as probe:
        return int(probe.server_address[1])


@pytest.fixture(scope="module")
def ended(ran: Callable[..., Any], doubling: int) -> Any:
    """The campaign, with both faults between its target and the truth."""
    return ran(CAMPAIGN.format(listen=_free_port(), port=doubling), golden=GOLDEN)


def test_a_wrong_answer_with_status_200_is_told_from_an_honest_failure(ended) -> None:
    assert ended.code == 1, ended.output
    found = {one["slo"]: one["verdict"] for one in ended.report["slos"] if one["activity"] == "golden"}
    assert found == {
        "never(invalid) during lie": "fail",
        "never(http_5xx) during lie": "pass",
        "pass_rate >= 100% during lie": "fail",
        "never(invalid) during refuse": "pass",
        "never(http_503) during refuse": "fail",
        "pass_rate >= 50% during refuse": "fail",
        "pass_rate >= 100% outside faults": "pass",
        "never(invalid) outside faults": "pass",
    }
    assert "answered with success, and not as the golden case expects" in ended.output


def test_a_wrong_answer_stands_in_the_report_with_its_case_and_what_came(ended) -> None:
    golden = ended.report["activities"]["golden"]
    assert set(golden["requests"]["by_error"]) == {"http_503"}
    assert golden["cases"]["failed_count"] == len(GOLDEN)
    wrong = next(one for one in golden["cases"]["failed"] if one["outcome"] == "ok")
    assert wrong["case"] in {case["id"] for case in GOLDEN}
    assert "twice" in wrong["why"]


def test_tries_a_request_are_counted_in_the_seconds_of_a_fault_and_before_it(ended) -> None:
    impacts = {fault["name"]: fault["impact"][0] for fault in ended.report["faults"]}
    tries = impacts["refuse"]["attempts_per_request"]
    assert tries["baseline"] == 1.0
    assert 1.0 < tries["fault"] <= tries["highest"] <= 2.0
    assert impacts["lie"]["attempts_per_request"] == {"baseline": 1.0, "fault": 1.0, "highest": 1.0}


def test_the_example_of_invariants_runs_as_it_stands(run, tmp_path) -> None:
    one = run(EXAMPLE.read_text().replace("golden/", f"{EXAMPLE.parent}/golden/").replace(
        "seed: 7", "seed: 7\nvalidity: {lag_p99: 2s, start_skew: 10s}"
    ))  # fmt: skip
    one.wait()
    report = one.report()
    found = {(slo["activity"], slo["slo"]): slo for slo in report["slos"]}
    lied = found["golden", "never(invalid) during server-hangs"]
    assert lied["verdict"] == "pass"
    assert lied["samples"] > 0
    assert found["golden", "pass_rate >= 100% outside faults"]["verdict"] == "pass"
    assert report["faults"][0]["took_effect"] is True


FAULTY = """
campaign: faulty
seed: 3
validity: {{lag_p99: 2s, start_skew: 10s}}
targets:
  chat: {{protocol: openai-chat, model: demo, timeout: 5s, demo: {{ttft: 5ms, gap: 1ms, tokens: 4}}}}
phases:
  - name: only
    activities:
      - {{name: traffic, kind: load, target: chat, shards: 1, arrivals: {{process: constant, rate: 20/s}},
         duration: 9s, data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}},
         slos: [success_rate >= 50%]}}
      - {{name: nobody, kind: chaos, fault: pause-process, at: 1s, for: 1s, match: {{cmdline: "{none}"}}}}
      - {{name: two, kind: chaos, fault: pause-process, at: 1s, for: 1s, match: {{cmdline: "{two}"}}}}
      - {{name: no-device, kind: chaos, fault: netem, on_generators: true, at: 1s, for: 1s,
         with: {{delay: 10ms, device: nosuch0}}}}
      - {{name: exits, kind: chaos, fault: pause-process, at: 2s, for: 5s, match: {{pidfile: "{pidfile}"}}}}
      - {{name: jammed, kind: chaos, fault: command, at: 2s, for: 1s,
         with: {{inject: [jam/inject], verify: [jam/verify], revert: [jam/revert]}}}}
"""


@pytest.fixture
def sleepers(until) -> Iterator[Callable[[str], "subprocess.Popen[bytes]"]]:
    """Processes that sleep under a name of their own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen([name, "600"], executable=shutil.which("sleep")))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()


def test_faults_that_go_wrong_are_invalid_each_with_its_reason_and_one_that_stays_is_undone_by_the_next_run(
    run, sleepers, tmp_path, until
) -> None:
    jam, commands = tmp_path / "jammed", tmp_path / "commands" / "jam"
    commands.mkdir(parents=True)
    on, notes = tmp_path / "on", tmp_path / "notes"
    jam.touch()
    for name, words in {
        "inject": f"touch {on}",
        "verify": f"test -e {on}",
        "revert": f"if test -e {jam}; then echo it is jammed >&2; exit 3; fi; rm -f {on}",
    }.items():
        (commands / name).write_text(f"#!/bin/sh\n{words}\n")
        (commands / name).chmod(0o755)
    names = {key: f"sleeper-{key}-{os.getpid()}" for key in ("none", "two", "exits")}
    two, exits = [sleepers(names["two"]) for _ in range(2)], sleepers(names["exits"])
    (tmp_path / "exits.pid").write_text(str(exits.pid))
    text = FAULTY.format(none=names["none"], two=names["two"], pidfile=tmp_path / "exits.pid")
    place = {"SHAKEOUT_LEFT_LEDGERS": str(notes), "SHAKEOUT_USER_CODE": str(tmp_path / "commands")}
    one = run(text, "--workers", "1", **place)
    until(lambda: psutil.Process(exits.pid).status() == psutil.STATUS_STOPPED)
    exits.kill()
    assert one.wait() == 4, one.output
    report = one.report()
    reasons = {name: " ".join(report["activities"][name]["reasons"]) for name in report["activities"]}
    assert f"no process matches cmdline '{names['none']}' on this host" in reasons["nobody"]
    assert "2 processes match" in reasons["two"]
    assert all(str(other.pid) in reasons["two"] for other in two)
    assert "was never injected" in reasons["no-device"]
    assert "exited by itself" in reasons["exits"]
    assert "left something behind: revert ended with 3: it is jammed" in reasons["jammed"]
    assert report["activities"]["traffic"]["verdict"] == "pass"
    assert "A FAULT IS NOT UNDONE" in one.output
    assert on.exists()

    (guardian,) = [each for each in psutil.process_iter() if _guards(each, one.folder)]
    guardian.kill()
    jam.unlink()
    again = run(text.replace("9s", "3s").split("      - {name: nobody")[0], "--workers", "1", **place)
    assert again.wait() == 0, again.output
    assert not on.exists()
    assert not (one.folder / "work").exists()
    assert not notes.exists()


def _shakeout(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "orchestrator", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


def test_a_plan_says_of_each_fault_that_cannot_be_done_why_and_touches_nothing(sleepers, tmp_path) -> None:
    names = {key: f"sleeper-{key}-{os.getpid()}" for key in ("none", "two", "exits")}
    two, one = [sleepers(names["two"]) for _ in range(2)], sleepers(names["exits"])
    (tmp_path / "one.pid").write_text(str(one.pid))
    file = tmp_path / "faulty.yaml"
    file.write_text(FAULTY.format(none=names["none"], two=names["two"], pidfile=tmp_path / "one.pid"))
    done = _shakeout("plan", str(file), "--json")
    assert done.returncode == 0, done.stderr
    faults = {fault["key"]: fault["now"][0] for fault in json.loads(done.stdout)["phases"][0]["faults"]}
    assert f"no process matches cmdline '{names['none']}'" in faults["nobody"]["refused"]
    assert f"2 processes match cmdline '{names['two']}', not 1: " in faults["two"]["refused"]
    assert all(str(each.pid) in faults["two"]["refused"] for each in two)
    assert faults["no-device"]["refused"]
    assert "has no command jam/inject in" in faults["jammed"]["refused"]
    assert (faults["exits"]["refused"], len(faults["exits"]["processes"])) == ("", 1)
    shown = " ".join(_shakeout("plan", str(file)).stdout.split())
    assert f"no process matches cmdline '{names['none']}'" in shown
    assert all(psutil.Process(each.pid).status() == psutil.STATUS_SLEEPING for each in (*two, one))


@pytest.mark.parametrize(
    ("was", "is_", "said"),
    [
        ("at: 2s, for: 5s,", "at: 2s,", "phases[0].activities[4].for: is missing"),
        ("at: 2s, for: 5s,", "at: 2s, for: 61m,", "for: is longer than 1h"),
        ("at: 2s, for: 5s,", "at: 2s, for: 50s,", "ends at 52s, the phase's traffic at 9s"),
    ],
    ids=["missing", "too long", "longer than its traffic"],
)
def test_a_time_limit_that_is_missing_or_too_long_is_an_error_of_the_file(tmp_path, was, is_, said) -> None:
    file = tmp_path / "faulty.yaml"
    text = FAULTY.format(none="a", two="b", pidfile="/c")
    assert was in text
    file.write_text(text.replace(was, is_))
    for command in ("validate", "run"):
        done = _shakeout(command, str(file))
        assert done.returncode == 2, done.stdout
        assert said in done.stderr


def _guards(process: psutil.Process, folder: Path) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return "workers.chaos.guardian" in words and any(str(folder) in word for word in words)
