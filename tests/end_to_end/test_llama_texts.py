"""llama.cpp's completions and embeddings under a whole campaign: its own counts and answers are the truth."""

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "llama_server.py"
TOKENS = 24
INPUTS = ["the sea", "a ship with sails", "x"]


def ask(server: Any, page: str, **body: object) -> str:
    """One answer's body, asked by a client that is not ours."""
    request = urllib.request.Request(
        f"{server.url}/v1/{page}", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=90) as answer:
        return str(answer.read().decode())


def counters(server: Any) -> dict[str, float]:
    """What the server counted of itself, by name without its prefix."""
    lines = re.findall(r"^llamacpp:(\w+) (\S+)$", server.get(f"{server.url}/metrics"), re.MULTILINE)
    return {name: float(value) for name, value in lines}


def load(name: str, *, data: str = "prompts.jsonl", rate: int = 5) -> str:
    return f"""      - name: {name}
        kind: load
        target: {name}
        shards: 1
        arrivals: {{process: constant, rate: {rate}/s}}
        duration: 2s
        data: {data}
"""


def regression(name: str, golden: str) -> str:
    keys = f"name: {name}-golden, kind: regression, target: {name}, golden: {golden}.jsonl, concurrency: 1"
    return f"      - {{{keys}}}\n"


def campaign(texts: str, vectors: str) -> str:
    extra = f"extra_body: {{ignore_eos: true, max_tokens: {TOKENS}, cache_prompt: false}}, timeout: 20s"
    packed = "extra_body: {encoding_format: base64}"
    return f"""
campaign: texts
seed: 3
validity: {{lag_p99: 2s, start_skew: 10s}}
targets:
  streamed: {{protocol: openai-completions, model: tiny, url: "{texts}", {extra}}}
  whole: {{protocol: openai-completions, model: tiny, url: "{texts}/v1", stream: false, {extra}}}
  too-long: {{protocol: openai-completions, model: tiny, url: "{texts}", timeout: 20s}}
  vectors: {{protocol: openai-embeddings, model: tiny, url: "{vectors}", timeout: 20s}}
  packed: {{protocol: openai-embeddings, model: tiny, url: "{vectors}", {packed}}}
  no-vectors: {{protocol: openai-embeddings, model: tiny, url: "{texts}", timeout: 20s}}
phases:
  - name: golden
    activities:
{regression("streamed", "said")}{regression("whole", "words")}\
{regression("vectors", "numbers")}{regression("packed", "numbers")}\
  - name: alone
    activities:
{load("streamed", rate=10)}\
  - name: together
    activities:
{load("whole")}{load("too-long", data="long.jsonl")}\
{load("vectors", data="inputs.jsonl")}{load("packed", data="one.jsonl")}\
{load("no-vectors", data="one.jsonl")}"""


def golden_words(server: Any, *, stream: bool) -> list[dict[str, Any]]:
    """Cases whose words the server said to another client, and one that is wrong.

    Streams have words of their own: half a character at the end is shown in whole answers alone.
    """
    rows = []
    for prompt in ("ahoy", "the sea"):
        body = {"prompt": prompt, "max_tokens": 8, "ignore_eos": True, "cache_prompt": False}
        said = ask(server, "completions", temperature=0, seed=3, stream=stream, **body)
        events = re.findall(r"^(?:data: )?(\{.*\})$", said, re.MULTILINE)
        text = "".join(json.loads(one)["choices"][0]["text"] for one in events)
        expected = {"content": text, "finish_reason": "length"}
        rows.append({"id": prompt, "request": body, "expected": expected})
    return [*rows, {"id": "wrong", "request": rows[0]["request"], "expected": {"content": "aye"}}]


def golden_numbers(server: Any) -> list[dict[str, Any]]:
    """Cases whose numbers the server gave to another client, one input and several, and one that is wrong."""
    several, (one,) = vectors(server, INPUTS), vectors(server, INPUTS[:1])
    far = [value + 0.25 for value in one]
    cases = (("one", INPUTS[0], one), ("all", INPUTS, several), ("wrong", INPUTS[0], far))
    close = {"embedding": {"close": {"rtol": 1e-3, "atol": 1e-5}}}
    return [
        {"id": name, "request": {"input": given}, "expected": {"embedding": numbers}, "compare": close}
        for name, given, numbers in cases
    ]


def vectors(server: Any, inputs: list[str]) -> list[list[float]]:
    return [item["embedding"] for item in json.loads(ask(server, "embeddings", input=inputs))["data"]]


@pytest.fixture(scope="module")
def measured(program, ran) -> Any:
    texts, embedder = program(SCRIPT), program(SCRIPT, "--embeddings", "--slots", "1")
    files = {"numbers": golden_numbers(embedder)}
    files |= {"words": golden_words(texts, stream=False), "said": golden_words(texts, stream=True)}
    before = counters(texts)
    ended = ran(
        campaign(texts.url, embedder.url),
        prompts=[{"prompt": f"question {number}"} for number in range(5)],
        long=[{"prompt": "x" * 2000}],
        inputs=[{"input": INPUTS}],
        one=[{"prompt": "the sea"}],
        **files,
    )
    after = counters(texts)
    return ended, {name: value - before[name] for name, value in after.items()}


@pytest.fixture(scope="module")
def activity(measured):
    return lambda name: measured[0].report["activities"][name]


@pytest.mark.parametrize("name", ["streamed", "whole", "vectors", "packed"])
def test_golden_answers_hold_and_the_wrong_one_does_not(activity, name):
    cases = activity(f"{name}-golden")["cases"]
    assert cases["judged"] == 3
    assert [one["case"] for one in cases["failed"]] == ["wrong"], cases["failed"]


def test_tokens_of_completions_are_the_servers_own_count(measured, activity):
    golden_tokens = 2 * 3 * 8
    streamed, whole = activity("streamed"), activity("whole")
    assert streamed["requests"]["ok"] == streamed["requests"]["scheduled"] == 20
    assert streamed["tokens"]["output"] == 20 * TOKENS
    assert whole["tokens"]["output"] == 10 * TOKENS
    assert measured[1]["tokens_predicted_total"] == golden_tokens + 30 * TOKENS
    assert streamed["tokens"]["input"] > 0


def test_a_stream_of_completions_has_times_inside_and_a_whole_one_none(activity):
    streamed = activity("streamed")
    assert streamed["ttft_s"]["count"] == streamed["tpot_s"]["count"] == 20
    assert streamed["ttft_s"]["mean"] <= streamed["latency_s"]["mean"]
    assert streamed["itl_s"]["count"] + 20 <= streamed["tokens"]["output"], "a chunk holds a token or more"
    assert not {"ttft_s", "tpot_s", "itl_s"} & activity("whole").keys()


def test_embeddings_count_their_inputs_and_make_no_tokens(activity):
    for name in ("vectors", "packed"):
        said = activity(name)
        assert said["requests"]["ok"] == said["requests"]["scheduled"] == 10
        assert said["tokens"]["input"] > 0
        assert said["tokens"]["output"] == 0


@pytest.mark.parametrize(
    ("name", "outcome", "words"),
    [
        ("too-long", "http_400", "exceeds the available context size"),
        ("no-vectors", "http_501", "does not support embeddings"),
    ],
)
def test_a_refusal_keeps_its_status_and_the_servers_words(activity, name, outcome, words):
    said = activity(name)
    assert said["requests"]["by_error"] == {outcome: 10}
    assert words in said["errors"][0]["text"]
