import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest
import yaml

from workers.contract.files.trace_files import read_trace
from workers.contract.files.traces import trace_of

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = [
    "golden/chat.jsonl",
    "golden/ranker.parquet",
    "contracts/ranker.yaml",
    "traffic/monday.parquet",
    "traffic/chat.jsonl",
    "traffic/night.csv",
]
CASES = [json.loads(line) for line in (EXAMPLES / "golden/chat.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two runs of the script, each in a folder of its own."""
    folders = [tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("made")]
    for folder in folders:
        subprocess.run([sys.executable, EXAMPLES / "make_data.py", folder], check=True, timeout=60)
    return folders


@pytest.fixture(scope="module")
def chat_url():
    """A demo target as quickstart.yaml has it."""
    demo = yaml.safe_load((EXAMPLES / "quickstart.yaml").read_text("utf-8"))["targets"]["chat"]["demo"]
    flags = [word for name, value in demo.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "workers.demo_target", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield process.stdout.readline().split()[-1] + "/v1/chat/completions"
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("name", FILES)
def test_the_script_run_again_gives_the_same_bytes(made, name):
    first, second = ((folder / name).read_bytes() for folder in made)
    assert first == second
    assert 0 < len(first) < 50 * 1024


@pytest.mark.parametrize("name", FILES)
def test_the_files_that_stand_here_are_the_scripts(made, name):
    if name.endswith(".parquet"):  # the bytes depend on the library's version, the content does not
        assert pq.read_table(EXAMPLES / name).equals(pq.read_table(made[0] / name))
    else:
        assert (EXAMPLES / name).read_bytes() == (made[0] / name).read_bytes()


def test_there_are_24_golden_chats_of_different_ids():
    assert len({case["id"] for case in CASES}) == 24


def matches(rule: str, expected: object, answer: object) -> bool:
    if rule == "regex":
        return re.fullmatch(expected, answer) is not None
    if rule == "json_schema":
        return jsonschema.Draft202012Validator(expected).is_valid(answer)
    if rule == "subset" and isinstance(expected, dict):
        return all(name in answer and matches(rule, each, answer[name]) for name, each in expected.items())
    if rule == "subset" and isinstance(expected, list):
        return len(expected) <= len(answer) and all(
            matches(rule, each, found) for each, found in zip(expected, answer, strict=False)
        )
    return expected == answer


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_demo_target_answers_every_golden_chat_as_expected(chat_url, case):
    body = json.dumps({"model": "demo", "temperature": 0, "seed": 7, **case["request"]}).encode()
    with urllib.request.urlopen(urllib.request.Request(chat_url, body), timeout=10) as reply:
        answer = json.load(reply)
    choice = answer["choices"][0]
    fields = {
        "content": choice["message"]["content"],
        "finish_reason": choice["finish_reason"],
        "json": answer,
    }
    for name, expected in case["expected"].items():
        default = "exact" if isinstance(expected, str) else "subset"
        (rule,) = case.get("compare", {}).get(name, {default: {}})
        assert matches(rule, expected, fields[name]), (name, expected, fields[name])


def test_the_rankers_cases_rank_by_score_and_keep_its_contract():
    table = pq.read_table(EXAMPLES / "golden/ranker.parquet").to_pydict()
    contract = yaml.safe_load((EXAMPLES / "contracts/ranker.yaml").read_text("utf-8"))["features"]
    assert len(set(table["id"])) == len(table["id"]) == 500
    for scores, ranking in zip(table["expected.scores"], table["expected.ranking"], strict=True):
        assert [scores[place] for place in ranking] == sorted(scores, reverse=True)
    for name, rule in contract.items():
        for value in table[f"input.{name}"]:
            for each in value if isinstance(value, list) else [value]:
                assert rule.get("min", each) <= each <= rule.get("max", each)
                assert each in rule.get("one_of", [each])


def test_the_traffic_has_requests_and_nothing_expected():
    rows = [json.loads(line) for line in (EXAMPLES / "traffic/chat.jsonl").read_text("utf-8").splitlines()]
    assert all(("prompt" in row) != ("request" in row) for row in rows)
    names = pq.read_schema(EXAMPLES / "traffic/monday.parquet").names
    assert "input.features" in names
    assert not [name for name in names if name.startswith("expected")]


def test_the_night_is_a_trace_with_quiet_and_bursts():
    times = read_trace(EXAMPLES / "traffic/night.csv", name="night.csv")
    trace = trace_of(times, packed=b"", name="night.csv")
    assert (trace.count, trace.unit_ns) == (240, 100)
    assert trace.peak_per_s > 4 * trace.mean_per_s
