"""mlserver under a whole campaign of kserve-v2: golden rows by output, and what it served is the truth."""

import re
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "ranker_server.py"
PYTHON = Path(__file__).parents[2] / ".venv-targets" / "bin" / "python"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="needs mlserver: run `make targets`")


def infer(data: list[Any], *, shape: tuple[int, ...], kind: str = "FP64", **more: object) -> dict[str, Any]:
    return {"inputs": [{"name": "features", "shape": list(shape), "datatype": kind, "data": data}], **more}


def scored(name: str, request: dict[str, Any], scores: list[float]) -> dict[str, Any]:
    return {"id": name, "request": request, "expected": {"scores": scores}}


CASES = [
    scored("flat", infer([1.0, 2.0, 3.0, 4.0, 0.0, 0.5], shape=(2, 3)), [6.0, 3.0]),
    scored("nested", infer([[1.0, 2.0, 3.0], [4.0, 0.0, 0.5]], shape=(2, 3)), [6.0, 3.0]),
    scored("near", infer([1, 2, 3], shape=(1, 3), kind="INT64"), [6.00001]),
    scored("wrong", infer([1.0, 2.0, 3.0], shape=(1, 3)), [6.25]),
    scored("many", infer([1.0, 2.0, 3.0], shape=(1, 3)), [6.0, 6.0]),
    {"id": "other", "request": infer([1.0, 2.0, 3.0], shape=(1, 3)), "expected": {"ranking": [1]}},
]
REFUSED = {
    "narrow": ("http_400", "features must be [n, 3], not [1, 2]", infer([1, 2], shape=(1, 2))),
    "bad-type": ("http_422", "body.inputs.0.datatype", infer([1], shape=(1, 1), kind="FP65")),
    "unasked": ("invalid", "2 results were asked for, 1 came",
                infer([1, 2, 3], shape=(1, 3), outputs=[{"name": "scores"}, {"name": "ranking"}])),
}  # fmt: skip


def load(name: str, *, on: str, rate: int = 5) -> str:
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
validity: {{lag_p99: 2s, start_skew: 10s}}
targets:
  v2: {{protocol: kserve-v2, model: ranker, url: "{url}", timeout: 10s}}
  first: {{protocol: kserve-v2, model: ranker, version: "1", url: "{url}", timeout: 10s}}
  bytes: {{protocol: kserve-v2, model: ranker, url: "{url}", timeout: 10s, binary: true}}
  nobody: {{protocol: kserve-v2, model: nobody, url: "{url}", timeout: 10s}}
phases:
  - name: golden
    activities:
      - {{name: cases, kind: regression, target: v2, golden: cases.jsonl}}
  - name: peak
    activities:
""" + "".join(
        [
            load("steady", on="v2", rate=30),
            load("by-version", on="first"),
            load("packed", on="bytes"),
            load("stranger", on="nobody"),
            *(load(name, on="v2") for name in REFUSED),
        ]
    )


def served(server: Any) -> int:
    """All requests that reached an inference page, whatever became of them."""
    text = server.get(re.search(r"^metrics at (\S+)$", server.log, re.MULTILINE)[1])
    lines = re.findall(r'^rest_server_requests_total\{.*path="[^"]*/infer".*\} (\S+)$', text, re.MULTILINE)
    return sum(int(float(value)) for value in lines)


@pytest.fixture(scope="module")
def measured(program, ran) -> Any:
    server = program(SCRIPT, python=PYTHON)
    row = infer([1.0, 2.0, 3.0], shape=(1, 3))
    files = {name: [wrong] for name, (_, _, wrong) in REFUSED.items()}
    files |= {name: [row] for name in ("steady", "by-version", "packed", "stranger")} | {"cases": CASES}
    ended = ran(campaign(server.url), **files)
    return ended.report["activities"], served(server)


def test_an_output_is_compared_by_its_name_within_a_tolerance_however_its_data_were_nested(measured):
    cases = measured[0]["cases"]["cases"]
    whys = {one["case"]: one["why"] for one in cases["failed"]}
    assert (cases["judged"], sorted(whys)) == (6, ["many", "other", "wrong"])
    assert "off by 0.25" in whys["wrong"]
    assert "expected 2 numbers, got 1" in whys["many"]
    assert "no such field (it has: json, scores, status, text)" in whys["other"]


def test_every_request_of_the_report_was_served(measured):
    said, truth = measured
    assert said["steady"]["requests"]["ok"] == said["steady"]["requests"]["scheduled"] == 60
    assert said["by-version"]["requests"]["ok"] == 10
    assert truth == sum(one["requests"]["sent"] for one in said.values())


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_keeps_its_status_and_the_servers_words(measured, name):
    outcome, words, _ = REFUSED[name]
    said = measured[0][name]
    assert said["requests"]["by_error"] == {outcome: 10}
    assert words in said["errors"][0]["text"]


def test_a_server_that_does_not_know_binary_tensors_says_so(measured):
    said = measured[0]["packed"]
    assert said["requests"]["ok"] == 0
    assert set(said["requests"]["by_error"]) <= {"http_400", "http_415", "http_422", "http_500"}


def test_a_model_that_it_does_not_have_is_not_found(measured):
    assert measured[0]["stranger"]["requests"]["by_error"] == {"http_404": 10}
