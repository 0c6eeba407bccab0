import http.client
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from workers.contract.files.golden import read_golden
from workers.protocols.contract import settled
from workers.protocols.select import make_protocol
from workers.regression.rules import check_cases, judge_case

GOLDEN = Path(__file__).parents[3] / "examples" / "golden" / "chat.jsonl"


@pytest.fixture(scope="module")
def url():
    command = [sys.executable, "-m", "workers.demo_target", "--tokens", "24", "--ttft", "5ms", "--gap", "1ms"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait(timeout=5)
        process.stdout.close()


def ask(url, request):
    """The status, headers and stamped pieces of one answer."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
    try:
        connection.request(request.method, request.path, request.body, dict(request.headers))
        answer = connection.getresponse()
        pieces = []
        while piece := answer.read1(65536):
            pieces.append((time.monotonic_ns(), piece))
        return answer.status, answer.getheaders(), pieces
    finally:
        connection.close()


@pytest.mark.parametrize("stream", [True, False])
def test_every_golden_case_of_the_examples_passes_against_the_demo_target(url, stream):
    target = {"url": url, "model": "demo", "stream": stream}
    protocol = make_protocol("openai-chat", target, seed=7, for_regression=True)
    cases = read_golden(GOLDEN)
    check_cases(cases, (), path=GOLDEN.name)
    failures = []
    for case in cases:
        answer, timing = protocol.parse_stream(*ask(url, protocol.build(case.request)))
        verdict = judge_case(case, answer, ())
        if not verdict.passed:
            failures.append((case.id, verdict.why))
        assert len(timing.output_times_ns) == (answer.output_tokens if stream else 0)
    assert failures == []


TENSOR = {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4.5]]}
SAYS = [
    ("openai-completions", {}, {"prompt": "a b", "max_tokens": 3}, {"content": "a b a"}, 3),
    ("openai-completions", {"stream": False}, {"prompt": "a b", "max_tokens": 3}, {"content": "a b a"}, 3),
    ("openai-embeddings", {}, {"input": ["a b", "cd"], "dimensions": 2}, {"embedding": [[1, 1], [2, 2]]}, 0),
    ("openai-embeddings", {}, {"input": "a bc", "encoding_format": "base64"}, {"embedding": [1, 2] * 4}, 0),
    ("kserve-v2", {}, {"inputs": [TENSOR]}, {"OUTPUT0": [3, 7.5]}, 0),
    ("kserve-v2", {"binary": True}, {"inputs": [TENSOR | {"datatype": "BF16"}]}, {"OUTPUT0": [3, 7.5]}, 0),
    ("triton-generate", {}, {"prompt": "a b", "max_tokens": 3, "return_num_output_tokens": True},
     {"content": "a b a"}, 3),
    ("triton-generate", {"stream": False}, {"text_input": "a b", "parameters": {"max_tokens": 3}},
     {"text_output": "a b a"}, 0),
    ("tf-serving", {}, {"instances": [[1, 2], {"x": [3, 4.5]}]}, {"predictions": [3, 7.5]}, 0),
    ("tf-serving", {}, {"inputs": [TENSOR]}, {"outputs": [3, 7.5]}, 0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "keys", "row", "fields", "tokens"), SAYS)
def test_the_demo_target_speaks_every_protocol(url, name, keys, row, fields, tokens):
    protocol = make_protocol(name, {"url": url, "model": "demo", **keys}, seed=7, for_regression=True)
    request = protocol.build(row)
    status, headers, pieces = ask(url, request)
    read = protocol.parse_stream(status, headers, pieces)
    answer, timing = settled(read[0], request, truncated=False), read[1]
    assert (answer.ok, answer.why) == (True, "")
    assert {field: answer.fields[field] for field in fields} == fields
    assert (answer.output_tokens or 0) == tokens
    assert len(timing.output_times_ns) == (3 if request.stream else 0)


def test_a_wrong_word_fails_its_case(url):
    protocol = make_protocol("openai-chat", {"url": url, "model": "demo"}, seed=7, for_regression=True)
    (case, *_) = read_golden(GOLDEN)
    answer, _ = protocol.parse_stream(*ask(url, protocol.build({"prompt": "something else"})))
    assert not judge_case(case, answer, ()).passed


def test_a_path_that_the_target_does_not_have_is_http_404(url):
    protocol = make_protocol(
        "openai-chat", {"url": url + "/nowhere", "model": "demo"}, seed=7, for_regression=False
    )
    answer, _ = protocol.parse_stream(*ask(url, protocol.build({"prompt": "hi"})))
    assert (answer.ok, answer.kind) == (False, "http_404")
