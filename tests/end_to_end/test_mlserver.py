"""mlserver under a whole campaign of json-http: what it served by path and status is the truth."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "ranker_server.py"
PYTHON = Path(__file__).parents[2] / ".venv-targets" / "bin" / "python"
V2_PATH = "/v2/models/ranker/infer"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="needs mlserver: run `make targets`")


def served(server: Any) -> dict[tuple[str, int], int]:
    """Requests by path, as mlserver writes it, and status."""
    text = server.get(re.search(r"^metrics at (\S+)$", server.log, re.MULTILINE)[1])
    lines = re.findall(r"^rest_server_requests_total\{(.*)\} (\S+)$", text, re.MULTILINE)
    found = {}
    for labels, value in lines:
        named = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        found[named["path"], int(named["status_code"])] = int(float(value))
    return found


def infer(data: list[Any], *, shape: tuple[int, ...], kind: str = "FP64") -> dict[str, Any]:
    return {"inputs": [{"name": "features", "shape": list(shape), "datatype": kind, "data": data}]}


def scored(name: str, request: dict[str, Any], scores: list[float]) -> dict[str, Any]:
    outputs = [{"name": "scores", "data": scores}]
    return {"id": name, "request": request, "expected": {"json": {"outputs": outputs}}}


V2_CASES = [
    scored("two", infer([1.0, 2.0, 3.0, 4.0, 0.0, 0.5], shape=(2, 3)), [6.0, 3.0]),
    scored("ints", infer([2, 4, 1], shape=(1, 3), kind="INT64"), [2.0]),
    scored("wrong", infer([1.0, 2.0, 3.0], shape=(1, 3)), [6.25]),
]
LIST_CASES = [
    {"id": "near", "request": {"rows": [[1, 2, 3], [0, 0, 1]]}, "expected": {"json": [6.000001, 2.0]}},
    {"id": "far", "request": {"rows": [[1, 2, 3]]}, "expected": {"json": [6.1]}},
    {"id": "long", "request": {"rows": [[1, 2, 3]]}, "expected": {"json": [6.0, 6.0]}},
]
REFUSED = {
    "narrow": ("http_400", "features must be [n, 3], not [1, 2]", infer([1, 2], shape=(1, 2))),
    "bad-type": (
        "http_422",
        "body.inputs.0.datatype: Input should be",
        infer([1], shape=(1, 1), kind="FP65"),
    ),
    "bad-shape": ("http_500", "Internal Server Error", infer([1, 2], shape=(1, 3))),
    "no-input": ("http_422", "body.inputs: Field required", {"question": 1}),
}


def load(name: str, *, on: str, rate: int) -> str:
    return f"""      - name: {name}
        kind: load
        target: {on}
        shards: 1
        arrivals: {{process: constant, rate: {rate}/s}}
        duration: 2s
        data: {name}.jsonl
"""


def campaign(url: str) -> str:
    return f"""
campaign: ranker
seed: 3
targets:
  v2: {{protocol: json-http, url: "{url}", path: {V2_PATH}, timeout: 10s}}
  list: {{protocol: json-http, url: "{url}", path: /score, body: "{{{{ rows | tojson }}}}"}}
  nobody: {{protocol: json-http, url: "{url}", path: /v2/models/nobody/infer}}
phases:
  - name: golden
    activities:
      - {{name: v2-cases, kind: regression, target: v2, golden: v2-cases.jsonl}}
      - name: list-cases
        kind: regression
        target: list
        golden: list-cases.jsonl
        compare: {{json: {{close: {{rtol: 1e-6}}}}}}
  - name: peak
    activities:
""" + "".join(
        [
            load("steady", on="v2", rate=40),
            load("stranger", on="nobody", rate=5),
            *(load(name, on="v2", rate=5) for name in REFUSED),
        ]
    )


@pytest.fixture(scope="module")
def measured(program, ran) -> Any:
    server = program(SCRIPT, python=PYTHON)
    files = {name: [row] for name, (_, _, row) in REFUSED.items()}
    files |= {"steady": [infer([1.0, 2.0, 3.0], shape=(1, 3))], "stranger": [infer([1], shape=(1, 1))]}
    files |= {"v2-cases": V2_CASES, "list-cases": LIST_CASES}
    ended = ran(campaign(server.url), **files)
    return ended, served(server)


@pytest.fixture(scope="module")
def activity(measured):
    return lambda name: measured[0].report["activities"][name]


def test_golden_rows_by_v2_hold_and_the_wrong_one_is_named(activity):
    cases = activity("v2-cases")["cases"]
    assert (cases["judged"], cases["passed"]) == (3, 2)
    (failed,) = cases["failed"]
    assert failed["case"] == "wrong"
    assert "outputs[0].data[0]" in failed["why"]


def test_lists_of_numbers_are_held_within_a_tolerance(activity):
    cases = activity("list-cases")["cases"]
    whys = {one["case"]: one["why"] for one in cases["failed"]}
    assert (cases["judged"], cases["passed"]) == (3, 1)
    assert "off by 0.1" in whys["far"]
    assert "expected 2 numbers, got 1" in whys["long"]


def test_every_request_of_the_report_was_served_and_none_besides(measured, activity):
    truth = measured[1]
    steady = activity("steady")["requests"]
    assert steady["ok"] == steady["sent"] == steady["scheduled"] == 80
    v2 = [steady, *(activity(name)["requests"] for name in (*REFUSED, "stranger", "v2-cases"))]
    path = "/v2/models/{model_name}/infer"
    assert sum(count for (where, _), count in truth.items() if where == path) == sum(
        one["sent"] for one in v2
    )
    assert truth[path, 200] == sum(one["ok"] for one in v2)
    assert truth["/score", 200] == activity("list-cases")["requests"]["sent"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_keeps_its_status_and_the_servers_words(activity, name):
    outcome, words, _ = REFUSED[name]
    said = activity(name)
    assert said["requests"]["by_error"] == {outcome: 10}
    assert words in said["errors"][0]["text"]


def test_a_model_that_it_does_not_have_is_not_found(activity):
    said = activity("stranger")
    assert said["requests"]["by_error"] == {"http_404": 10}
    assert "Model nobody not found" in said["errors"][0]["text"]


def test_a_model_that_is_still_loading_gets_no_request_before_it_has_loaded(program, run, until, tmp_path):
    server = program(SCRIPT, "--hold", python=PYTHON)
    (tmp_path / "steady.jsonl").write_text(json.dumps(infer([1.0, 2.0, 3.0], shape=(1, 3))))
    target = f'{{protocol: json-http, url: "{server.url}", path: {V2_PATH}}}'
    head = (
        f"campaign: loading\nseed: 3\nvalidity: {{lag_p99: 2s, start_skew: 10s}}\ntargets:\n  v2: {target}\n"
        "phases:\n  - name: peak\n    activities:\n"
    )
    ended = run(head + load("steady", on="v2", rate=5), "--workers", "1")
    until(lambda: 'GET /v2/health/ready HTTP/1.1" 400' in server.log)
    assert ended.process.poll() is None
    (server.folder / "loaded").touch()
    assert ended.wait() == 0, ended.output
    assert ended.report()["activities"]["steady"]["requests"]["ok"] == 10
    assert served(server)["/v2/models/{model_name}/infer", 200] == 10
