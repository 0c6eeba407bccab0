"""mlserver under a whole campaign of kserve-v2-grpc: the calls that it counted are the truth."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).parent / "ranker_server.py"
PYTHON = ROOT / ".venv-targets" / "bin" / "python"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="needs mlserver: run `make targets`")


def started(server: Any) -> dict[str, int]:
    """Calls that the server began to serve, by method; none before it shows its metrics."""
    try:
        text = server.get(re.search(r"^metrics at (\S+)$", server.log, re.MULTILINE)[1])
    except URLError:
        return {}
    found = re.findall(r'^grpc_server_started_total\{.*grpc_method="(\w+)".*\} (\S+)$', text, re.MULTILINE)
    return {method: int(float(value)) for method, value in found}


def grpc_url(server: Any) -> str:
    return str(re.search(r"^grpc at (\S+)$", server.log, re.MULTILINE)[1])


def infer(data: list[Any], *, shape: tuple[int, ...], kind: str = "FP64", **more: Any) -> dict[str, Any]:
    tensor = {"name": "features", "shape": list(shape), "datatype": kind, "data": data}
    return {"inputs": [tensor], **more}


CASES = [
    {"id": "two", "request": infer([[1, 2, 3], [4, 0, 1]], shape=(2, 3)), "expected": {"scores": [6.0, 4.0]}},
    {"id": "ints", "request": infer([2, 4, 1], shape=(1, 3), kind="INT64"), "expected": {"scores": [2.0]}},
    {"id": "half", "request": infer([2, 4, 1], shape=(1, 3), kind="FP16"), "expected": {"scores": [2.0]}},
    {"id": "narrow", "request": infer([1, 2], shape=(1, 2)), "expected": {"status": 400}},
    {"id": "wrong", "request": infer([1, 2, 3], shape=(1, 3)), "expected": {"scores": [6.25]}},
    {
        "id": "as-rest",
        "request": infer([1, 2, 3], shape=(1, 3), id="seven"),
        "expected": {"json": {"id": "seven", "outputs": [{"name": "scores", "data": [6.0]}]}},
    },
]  # fmt: skip


def load(name: str, *, on: str, rate: int, rows: str) -> str:
    return f"""      - name: {name}
        kind: load
        target: {on}
        shards: 1
        arrivals: {{process: poisson, rate: {rate}/s}}
        duration: 2s
        data: {rows}.jsonl
"""


def campaign(url: str) -> str:
    target = f'protocol: kserve-v2-grpc, url: "{url}", timeout: 10s'
    return f"""
campaign: ranker
seed: 3
validity: {{lag_p99: 2s, start_skew: 10s}}
targets:
  v2: {{{target}, model: ranker, headers: {{Authorization: Bearer none}}}}
  nobody: {{{target}, model: nobody}}
phases:
  - name: golden
    activities:
      - {{name: cases, kind: regression, target: v2, golden: cases.jsonl}}
  - name: peak
    activities:
""" + "".join(
        [
            load("steady", on="v2", rate=100, rows="steady"),
            load("wide", on="v2", rate=5, rows="wide"),
            load("narrow", on="v2", rate=5, rows="narrow"),
            load("stranger", on="nobody", rate=5, rows="steady"),
        ]
    )


@pytest.fixture(scope="module")
def server(program) -> Any:
    return program(SCRIPT, python=PYTHON)


@pytest.fixture(scope="module")
def measured(server, ran) -> Any:
    files = {
        "steady": [infer([1.0, 2.0, 3.0], shape=(1, 3))],
        "wide": [infer([0.5] * 60_000, shape=(20_000, 3))],
        "narrow": [infer([1.0, 2.0], shape=(1, 2))],
        "cases": CASES,
    }
    ended = ran(campaign(grpc_url(server)), **files)
    return ended, started(server)


@pytest.fixture(scope="module")
def activity(measured):
    return lambda name: measured[0].report["activities"][name]


def test_golden_rows_hold_over_grpc_and_the_wrong_one_is_named(activity):
    cases = activity("cases")["cases"]
    assert (cases["judged"], cases["passed"]) == (6, 5)
    (failed,) = cases["failed"]
    assert (failed["case"], "expected 6.25, got 6.0" in failed["why"]) == ("wrong", True)


def test_every_call_of_the_report_was_served_and_none_besides(measured, activity):
    names = ("steady", "wide", "narrow", "stranger", "cases")
    assert measured[1]["ModelInfer"] == sum(activity(name)["requests"]["sent"] for name in names)
    assert all(activity(name)["requests"]["unknown"] == 0 for name in names)


def test_small_and_large_tensors_are_answered(activity):
    for name in ("steady", "wide"):
        requests = activity(name)["requests"]
        assert requests["ok"] == requests["scheduled"] > 0


@pytest.mark.parametrize(
    ("name", "outcome", "words"),
    [
        ("narrow", "http_400", "INVALID_ARGUMENT: features must be [n, 3], not [1, 2]"),
        ("stranger", "http_404", "NOT_FOUND: Model nobody"),
    ],
)
def test_a_refusal_has_the_http_kind_of_its_code_and_the_servers_words(activity, name, outcome, words):
    said = activity(name)
    assert set(said["requests"]["by_error"]) == {outcome}
    assert said["requests"]["failed"] == said["requests"]["scheduled"] > 0
    assert words in said["errors"][0]["text"]


def test_a_model_that_is_still_loading_gets_no_call_before_it_has_loaded(program, run, until, tmp_path):
    server = program(SCRIPT, "--hold", python=PYTHON)
    (tmp_path / "steady.jsonl").write_text(json.dumps(infer([1.0, 2.0, 3.0], shape=(1, 3))))
    target = f'{{protocol: kserve-v2-grpc, model: ranker, url: "{grpc_url(server)}"}}'
    head = (
        f"campaign: loading\nseed: 3\nvalidity: {{lag_p99: 2s, start_skew: 10s}}\ntargets:\n  v2: {target}\n"
        "phases:\n  - name: peak\n    activities:\n"
    )
    ended = run(head + load("steady", on="v2", rate=20, rows="steady"), "--workers", "1")
    until(lambda: started(server).get("ServerReady", 0) > 1)
    assert ended.process.poll() is None
    assert "ModelInfer" not in started(server)
    (server.folder / "loaded").touch()
    assert ended.wait() == 0, ended.output
    requests = ended.report()["activities"]["steady"]["requests"]
    assert requests["ok"] == started(server)["ModelInfer"] == requests["scheduled"]
    assert "not ready, says ServerReady" in ended.output


def test_a_server_that_is_killed_under_load_is_a_reset_and_then_no_connection(program, run, until, tmp_path):
    server = program(SCRIPT, python=PYTHON)
    (tmp_path / "steady.jsonl").write_text(json.dumps(infer([0.5] * 60_000, shape=(20_000, 3))))
    text = campaign(grpc_url(server)).partition("phases:")[0] + (
        "phases:\n  - name: peak\n    activities:\n" + load("steady", on="v2", rate=50, rows="steady")
    ).replace("2s", "12s")
    ended = run(text, "--workers", "1")
    until(lambda: started(server).get("ModelInfer", 0) > 20)
    os.kill(server.process.pid, signal.SIGKILL)
    ended.wait()
    requests = ended.report()["activities"]["steady"]["requests"]
    assert set(requests["by_error"]) <= {"reset", "connect"}
    assert requests["by_error"]["connect"] > 0
    assert requests["ok"] + requests["failed"] == requests["scheduled"]


def test_the_locustfile_runs_under_plain_locust(server):
    run = subprocess.run(
        [
            sys.executable, "-m", "locust", "-f", str(ROOT / "locustfiles" / "kserve_v2_grpc.py"),
            "--host", grpc_url(server), "--headless", "-u", "3", "-r", "3", "-t", "2s", "--json",
            "--loglevel", "WARNING",
        ],
        capture_output=True, text=True, timeout=180, check=False,
        env={**os.environ, "SHAKEOUT_MODEL": "ranker"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    (entry,) = json.loads(run.stdout)
    assert (entry["name"], entry["num_failures"]) == ("infer", 0)
    assert entry["num_requests"] > 10
