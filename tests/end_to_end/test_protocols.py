"""Every REST protocol in one campaign against one target that speaks them all: its log is the truth."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

PASS = 0
RATE, SECONDS = 20, 2
TENSOR = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3.5]}
TEXT = {"prompt": "one two three", "max_tokens": 5, "return_num_output_tokens": True}
ROWS: dict[str, dict[str, Any]] = {
    "texts": TEXT, "texts-whole": TEXT, "vectors": {"input": ["a b", "c"]}, "tensors": {"inputs": [TENSOR]},
    "packed": {"inputs": [TENSOR]}, "triton": TEXT, "triton-whole": TEXT, "rows": {"instances": [[1], [2]]},
}  # fmt: skip
KEYS = {
    "texts": "protocol: openai-completions", "texts-whole": "protocol: openai-completions, stream: false",
    "vectors": "protocol: openai-embeddings", "tensors": "protocol: kserve-v2",
    "packed": "protocol: kserve-v2, binary: true", "triton": "protocol: triton-generate",
    "triton-whole": "protocol: triton-generate, stream: false", "rows": "protocol: tf-serving",
}  # fmt: skip
PATHS = {
    "texts": "/v1/completions", "vectors": "/v1/embeddings", "tensors": "/v2/models/demo/infer",
    "triton": "/v2/models/demo/generate_stream", "triton-whole": "/v2/models/demo/generate",
    "rows": "/v1/models/demo:predict",
}  # fmt: skip
GOLDEN: dict[str, dict[str, Any]] = {
    "texts": {"request": TEXT, "expected": {"content": "one two three one two", "finish_reason": "length"}},
    "vectors": {"request": {"input": "a bc", "dimensions": 2}, "expected": {"embedding": [1, 2]}},
    "triton": {"request": TEXT, "expected": {"content": "one two three one two"}},
    "rows": {"request": {"instances": [[1, 2], [3]]}, "expected": {"predictions": [3.0, 3.0]}},
}


def campaign(url: str) -> str:
    targets = "".join(
        f'  {name}: {{{keys}, model: demo, url: "{url}", timeout: 5s}}\n' for name, keys in KEYS.items()
    )
    goldens = {name: f"golden-{name}.jsonl" for name in GOLDEN}
    goldens |= {"tensors": "tensors.parquet", "packed": "tensors.parquet"}
    cases = "".join(
        f"      - {{name: golden-{name}, kind: regression, target: {name}, golden: {file},"
        f" slos: [pass_rate >= 100%]}}\n"
        for name, file in goldens.items()
    )
    loads = "".join(
        f"      - {{name: {name}, kind: load, target: {name}, shards: 1, duration: {SECONDS}s,"
        f" arrivals: {{process: constant, rate: {RATE}/s}}, data: {name}.jsonl, slos: [never(invalid)]}}\n"
        for name in KEYS
    )
    return (
        f"campaign: protocols\nseed: 1\nvalidity: {{lag_p99: 2s, start_skew: 10s}}\ntargets:\n{targets}"
        f"phases:\n  - name: golden\n    activities:\n{cases}  - name: peak\n    activities:\n{loads}"
    )


def write_files(folder: Path) -> None:
    """Data of the loads, and golden sets: rows of JSON, and one table of tensors."""
    for name, row in ROWS.items():
        (folder / f"{name}.jsonl").write_text(json.dumps(row))
    for name, case in GOLDEN.items():
        (folder / f"golden-{name}.jsonl").write_text(json.dumps({"id": "a", **case}))
    inputs = pa.array([[1.0, 2.0, 3.5], [0.5, -1.0, 0.5]], pa.list_(pa.float32()))
    sums = pa.array([[6.5], [0.0]], pa.list_(pa.float64()))
    table = pa.table({"id": ["a", "b"], "input.x": inputs, "expected.OUTPUT0": sums})
    pq.write_table(table, folder / "tensors.parquet")


def test_every_rest_protocol_is_loaded_and_compared_and_the_targets_log_agrees(run, target, tmp_path) -> None:
    write_files(tmp_path)
    server = target("--ttft", "20ms", "--gap", "2ms", "--service-time", "2ms")
    one = run(campaign(server.url), "--workers", "1")
    assert one.wait() == PASS, one.output
    said = one.report()["activities"]
    for name in ROWS:
        counts = said[name]["requests"]
        assert counts["ok"] == counts["scheduled"] == RATE * SECONDS, (name, counts)
        assert set(server.indices(name).values()) == {1}
        assert len(server.indices(name)) == RATE * SECONDS
    paths = {line["id"].rsplit("/", 2)[0]: line["path"] for line in server.received() if line["id"]}
    assert {name: paths[name] for name in PATHS} == PATHS
    for name in ("texts", "texts-whole", "triton", "triton-whole"):
        assert said[name]["tokens"]["output"] == 5 * RATE * SECONDS
    for name in ("texts", "triton"):
        assert said[name]["ttft_s"]["p50"] >= 0.02 * 0.99
        assert said[name]["tpot_s"]["count"] == RATE * SECONDS
    assert said["vectors"]["tokens"]["input"] == 3 * RATE * SECONDS
    for name in (*GOLDEN, "tensors", "packed"):
        cases = said[f"golden-{name}"]["cases"]
        assert cases["passed"] == cases["judged"] > 0, (name, cases["failed"])
