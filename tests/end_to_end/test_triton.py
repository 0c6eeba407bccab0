"""Triton itself under a whole campaign: generate, streams and binary tensors; its counts are the truth."""

import re
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "triton_server.py"
PYTHON = Path(__file__).parents[2] / ".venv-triton" / "bin" / "python"
TOKENS, GAP_S = 5, 0.02

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="needs Triton: nvidia-pytriton in .venv-triton, of Debian's python3"
)


def tensor(name: str, kind: str, data: list[Any], *, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"inputs": [{"name": name, "shape": list(shape), "datatype": kind, "data": data}]}


ROW = tensor("features", "FP32", [1.0, 2.0, 3.0, 4.0], shape=(2, 2))
HALVES = tensor("halves", "FP16", [0.5, -2.0], shape=(1, 2))
TEXT = {"prompt": "one two three", "max_tokens": TOKENS}
CASES = [
    {"id": "all", "request": ROW, "expected": {"doubled": [2, 4, 6, 8], "sums": [3, 7]}},
    {"id": "some", "request": {**ROW, "outputs": [{"name": "sums"}]}, "expected": {"sums": [3, 7]}},
    {"id": "wrong", "request": ROW, "expected": {"sums": [3, 8]}},
]
LOADS = {
    "spoken": TEXT, "whole": {"text_input": "a b", "max_tokens": 1}, "too-many": TEXT, "nobody": TEXT,
    "bytes": ROW, "halves": HALVES, "as-json": HALVES, "unknown": {**ROW, "outputs": [{"name": "nope"}]},
}  # fmt: skip
FAILS = {
    "too-many": ("invalid", "exactly 1 response"),
    "nobody": ("http_404", "unknown model"),
    "as-json": ("http_400", "FP16"),
    "unknown": ("http_400", "unexpected inference output 'nope'"),
}


def campaign(url: str) -> str:
    keys = {
        "spoken": "protocol: triton-generate, model: speaker",
        "whole": 'protocol: triton-generate, model: speaker, version: "1", stream: false',
        "too-many": "protocol: triton-generate, model: speaker, stream: false",
        "nobody": "protocol: triton-generate, model: nobody",
        "json": "protocol: kserve-v2, model: ranker",
        "bytes": "protocol: kserve-v2, model: ranker, binary: true",
        "halves": "protocol: kserve-v2, model: halves, binary: true",
        "as-json": "protocol: kserve-v2, model: halves",
        "unknown": "protocol: kserve-v2, model: ranker",
    }
    targets = "".join(f'  {name}: {{{said}, url: "{url}", timeout: 20s}}\n' for name, said in keys.items())
    loads = "".join(
        f"      - {{name: {name}, kind: load, target: {name}, shards: 1, duration: 2s,"
        f" arrivals: {{process: constant, rate: 5/s}}, data: {name}.jsonl}}\n"
        for name in LOADS
    )
    goldens = "".join(
        f"      - {{name: golden-{name}, kind: regression, target: {name}, golden: cases.jsonl}}\n"
        for name in ("json", "bytes")
    )
    return (
        f"campaign: triton\nseed: 3\nvalidity: {{lag_p99: 2s, start_skew: 10s}}\ntargets:\n{targets}"
        f"phases:\n  - name: golden\n    activities:\n{goldens}  - name: peak\n    activities:\n{loads}"
    )


def answered(server: Any) -> dict[str, int]:
    """Requests that Triton counts as answered, by model."""
    text = server.get(re.search(r"^metrics at (\S+)$", server.log, re.MULTILINE)[1])
    found = re.findall(r'^nv_inference_request_success\{model="(\w+)",.*\} (\d+)$', text, re.MULTILINE)
    return {name: int(count) for name, count in found}


@pytest.fixture(scope="module")
def measured(program, ran) -> Any:
    server = program(SCRIPT, python=PYTHON)
    files = {name: [row] for name, row in LOADS.items()}
    ended = ran(campaign(server.url), cases=CASES, **files)
    return ended.report["activities"], answered(server)


@pytest.mark.parametrize("name", ["json", "bytes"])
def test_golden_rows_hold_by_output_in_json_and_in_bytes(measured, name):
    cases = measured[0][f"golden-{name}"]["cases"]
    assert (cases["judged"], cases["passed"]) == (3, 2), cases["failed"]
    assert [one["case"] for one in cases["failed"]] == ["wrong"]


def test_a_stream_has_an_output_a_token_as_far_apart_as_the_model_made_them(measured):
    said = measured[0]["spoken"]
    assert said["requests"]["ok"] == said["requests"]["scheduled"] == 10
    assert said["itl_s"]["count"] == 10 * (TOKENS - 1)
    assert said["ttft_s"]["p50"] >= GAP_S * 0.99
    assert said["latency_s"]["mean"] >= TOKENS * GAP_S * 0.99
    assert said["ok_without_tokens"] == 10, "this model tells no count, and chunks are none"


def test_whole_answers_and_bytes_come_through(measured):
    for name in ("whole", "bytes", "halves"):
        assert measured[0][name]["requests"]["ok"] == 10, measured[0][name]["errors"]


@pytest.mark.parametrize("name", FAILS)
def test_a_refusal_keeps_its_outcome_and_the_servers_words(measured, name):
    outcome, words = FAILS[name]
    said = measured[0][name]
    assert said["requests"]["by_error"] == {outcome: 10}
    assert words in said["errors"][0]["text"]


def test_triton_counts_what_the_report_counts(measured):
    said, truth = measured
    ranked = sum(said[name]["requests"]["ok"] for name in ("bytes", "golden-json", "golden-bytes"))
    assert truth["ranker"] == ranked
    assert truth["halves"] == said["halves"]["requests"]["ok"]
