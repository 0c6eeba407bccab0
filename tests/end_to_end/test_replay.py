"""One run with samples, and its requests sent once more: the target's own record says what was asked."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

WAIT_S = 90.0
KEY = "key-not-to-be-seen"
LITERAL = "team-not-to-be-seen"
FILE = ("--campaign", "campaign.yaml")
CAMPAIGN = """
campaign: again
seed: 11
samples: all
validity: {{lag_p99: 2s, start_skew: 10s}}
targets:
  echo:
    protocol: json-http
    url: {url}
    path: /ask
    headers: {{authorization: "Bearer ${{env:ECHO_KEY}}", x-team: {literal}}}
phases:
  - name: peak
    activities:
      - name: surge
        kind: load
        target: echo
        arrivals: {{process: poisson, rate: 20/s}}
        duration: 3s
        data: {{file: rows.jsonl, order: shuffle, tags: [tenant]}}
      - name: golden
        kind: regression
        target: echo
        golden: golden.jsonl
        slos: ["pass_rate >= 0%"]
"""


@dataclass
class Echo:
    """A target that keeps what it is asked, by request id, and answers with the headers that it got."""

    url: str = ""
    status: int = 200
    asked: dict[str, bytes] = field(default_factory=dict)


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    kept = Echo()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            kept.asked[self.headers["x-shakeout-id"]] = self.rfile.read(int(self.headers["content-length"]))
            self.say(kept.status, json.dumps(dict(self.headers.items())).encode())

        def do_GET(self) -> None:
            self.say(200, b"")

        def say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kept.url = f"http://127.0.0.1:{server.server_port}"
    yield kept
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def shakeout(tmp_path_factory) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """The command, in one folder for all."""
    folder = tmp_path_factory.mktemp("here")

    def call(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *words], cwd=folder, capture_output=True, text=True,
            timeout=WAIT_S, check=False, env={**os.environ, "ECHO_KEY": KEY, **environment},
        )  # fmt: skip

    call.folder = folder  # type: ignore[attr-defined]
    return call


@pytest.fixture(scope="module")
def folder(echo, shakeout) -> Path:
    """Where a run stands with its campaign file, data and results in `out`."""
    here: Path = shakeout.folder
    (here / "campaign.yaml").write_text(CAMPAIGN.format(url=echo.url, literal=LITERAL))
    rows = [{"q": f"question {at}", "tenant": f"t{at % 3}"} for at in range(50)]
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    cases = [{"id": f"c-{at}", "request": {"case": at}, "expected": {"status": 200}} for at in range(4)]
    (here / "golden.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    done = shakeout("run", "campaign.yaml", "--out", "out", "--workers", "2")
    assert (here / "out" / "report.json").exists(), done.stdout + done.stderr
    return here


def samples(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "out" / "samples").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_the_run_kept_a_row_for_each_request_with_its_tags(folder, echo):
    report = json.loads((folder / "out" / "report.json").read_text())
    surge = report["activities"]["surge"]
    rows = samples(folder)
    asked = [id_ for id_ in echo.asked if id_.startswith("surge/") and not id_.endswith("/0")]
    assert sorted(row["request_id"] for row in rows) == sorted(asked)
    assert surge["samples"]["rows"] == surge["requests"]["sent"] == len(rows)
    assert surge["samples"]["missing"] == 0
    for row in rows:
        question = int(json.loads(echo.asked[row["request_id"]])["q"].split()[1])
        assert row["tags"] == [("tenant", f"t{question % 3}")]
        assert row["intended_common_s"] > 1.7e9
    everything = "".join(
        file.read_bytes().decode("latin-1") for file in (folder / "out").rglob("*") if file.is_file()
    )
    assert KEY not in everything
    assert LITERAL not in everything


def test_the_same_is_asked_again_under_an_id_of_its_own(folder, echo, shakeout):
    report = json.loads((folder / "out" / "report.json").read_text())
    for id_ in (report["activities"]["surge"]["slowest"][0]["request_id"], "golden/2/1"):
        done = shakeout("replay", "out", "--request", id_, "--campaign", "campaign.yaml")
        assert done.returncode == 0, done.stderr
        again = id_.rpartition("/")[0] + "/0"
        assert echo.asked[again] == echo.asked[id_]
        assert f"sent once more as {again}" in done.stdout
        assert "POST " + echo.url + "/ask" in done.stdout
        assert KEY not in done.stdout + done.stderr
        assert LITERAL not in done.stdout + done.stderr
        assert "authorization: [masked]" in done.stdout


def test_what_came_of_it_stands_beside_what_came_of_it_then(folder, echo, shakeout):
    row = samples(folder)[7]
    echo.status = 503
    try:
        done = shakeout(
            "replay", "out", "--request", row["request_id"], "--campaign", "campaign.yaml", "--json"
        )
    finally:
        echo.status = 200
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert (told["answer"]["status"], told["answer"]["outcome"]) == (503, "http_503")
    assert told["request"]["body"].encode() == echo.asked[row["request_id"]]
    assert told["recorded"]["latency_s"] == row["latency_s"]
    assert told["recorded"]["trace_id"] == row["trace_id"] != told["request"]["trace_id"]
    assert told["times"]["service_time_s"] > 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--request", "surge", *FILE), "is no request's id"),
        (("--request", "surge/99999/1", *FILE), "surge has only"),
        (("--request", "golden/4/1", *FILE), "golden has only 4 requests"),
        (("--request", "surge/1/5", *FILE), "there was no attempt 5 at surge"),
        (("--request", "calm/1/1", *FILE), "the run has no activity 'calm'"),
        (("--request", "surge/1/1"), "the results mask the value of header 'x-team'"),
        (("--request", "surge/1/1", "--url", "http://192.0.2.1:9", *FILE), "192.0.2.1"),
        (("--request", "surge/1/1", "--campaign", "other.yaml"), "is not the file"),
    ],
)
def test_what_cannot_be_sent_again_says_why(folder, shakeout, words, why):
    changed = (folder / "campaign.yaml").read_text().replace("rate: 20/s", "rate: 21/s")
    (folder / "other.yaml").write_text(changed)
    done = shakeout("replay", "out", *words)
    assert done.returncode == 2, done.stdout
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unset_secret_and_changed_data_are_said_by_name(folder, shakeout):
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "replay", "out", "--request", "surge/1/1", "--campaign",
         "campaign.yaml"],
        cwd=folder, capture_output=True, text=True, timeout=WAIT_S, check=False,
        env={name: value for name, value in os.environ.items() if name != "ECHO_KEY"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "${env:ECHO_KEY} is not set" in done.stderr
    kept = (folder / "rows.jsonl").read_text()
    (folder / "rows.jsonl").write_text(kept + "{}\n")
    try:
        done = shakeout("replay", "out", "--request", "surge/1/1", "--campaign", "campaign.yaml")
    finally:
        (folder / "rows.jsonl").write_text(kept)
    assert done.returncode == 2
    assert "rows.jsonl has changed since the run" in done.stderr


def test_a_folder_that_holds_no_run_says_so(shakeout, folder):
    for run, why in (("nowhere", "there is no folder nowhere"), (".", "say the folder of a run's results")):
        done = shakeout("replay", run, "--request", "surge/1/1", SHAKEOUT_BROKER="")
        assert done.returncode == 2
        assert why in done.stderr
