"""llama.cpp's real server under a whole campaign: its own counts, clocks and refusals are the truth."""

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "llama_server.py"
TOKENS = 40
WHOLE_TOKENS = 24
CASES = ("ahoy", "one two three", "the sea")


def counters(server: Any) -> dict[str, float]:
    """What the server counted of itself, by name without its prefix."""
    lines = re.findall(r"^llamacpp:(\w+) (\S+)$", server.get(f"{server.url}/metrics"), re.MULTILINE)
    return {name: float(value) for name, value in lines}


def ask(server: Any, **body: object) -> dict[str, Any]:
    """One whole answer, asked by a client that is not ours."""
    request = urllib.request.Request(
        f"{server.url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=90) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


def load(name: str, **keys: object) -> str:
    given = {"target": name, "shards": 1, "duration": "2s", "data": "one.jsonl"} | keys
    given.setdefault("arrivals", "{process: constant, rate: 5/s}")
    lines = [f"      - name: {name}", "        kind: load", *(f"        {k}: {v}" for k, v in given.items())]
    return "\n".join(lines) + "\n"


def target(name: str, url: str, *, extra: str, **keys: object) -> str:
    given = {"model": "tiny", "url": f'"{url}"', "timeout": "20s"} | keys
    more = ", ".join(f"{key}: {value}" for key, value in given.items())
    return f"  {name}: {{protocol: openai-chat, {more}, extra_body: {{{extra}}}}}\n"


GOLDEN_BODY = {"max_tokens": 12, "ignore_eos": True, "cache_prompt": False}


def golden(server: Any) -> list[dict[str, Any]]:
    """Cases whose expected words the server said to another client, and one that is wrong."""
    rows = []
    for text in CASES:
        messages = [{"role": "user", "content": text}]
        said = ask(server, messages=messages, temperature=0, seed=3, **GOLDEN_BODY)
        content = said["choices"][0]["message"]["content"]
        request = {"messages": messages, **GOLDEN_BODY}
        rows.append({"id": text, "request": request, "expected": {"content": content}})
    return [*rows, {"id": "wrong", "request": rows[0]["request"], "expected": {"content": "aye"}}]


@pytest.fixture(scope="module")
def measured(program, ran) -> Any:
    """One campaign over servers that count only what one activity sends them."""
    servers = {
        "streamed": program(SCRIPT, "--width", "256", "--layers", "4"),
        "whole": program(SCRIPT),
        "odd": program(SCRIPT),
        "crowded": program(SCRIPT, "--context", "64", "--unified"),
    }
    odd = servers["odd"].url
    cases = golden(servers["odd"])
    tokens = f"ignore_eos: true, max_tokens: {TOKENS}"
    text = (
        "campaign: llama\nseed: 3\ntargets:\n"
        + target("streamed", servers["streamed"].url, extra=tokens)
        + target("whole", servers["whole"].url, stream="false",
                 extra=f"ignore_eos: true, max_tokens: {WHOLE_TOKENS}")
        + target("stranger", odd, model="nobody", extra="max_tokens: 4")
        + target("too-long", odd, extra="max_tokens: 4")
        + target("bad-number", odd, extra="max_tokens: many")
        + target("bad-tools", odd, stream="false", extra="tools: hammer")
        + target("one-token", odd, extra="ignore_eos: true, max_tokens: 1")
        + target("crowded", servers["crowded"].url, extra="ignore_eos: true, max_tokens: 150")
        + target("golden", odd, stream="false", extra="")
        + "phases:\n  - name: golden\n    activities:\n"
        + "      - {name: golden, kind: regression, target: golden, golden: golden.jsonl, concurrency: 1}\n"
        + "  - name: quiet\n    activities:\n"
        + load("streamed", duration="5s", data="some.jsonl")
        + load("whole", duration="5s", data="some.jsonl")
        + "  - name: odd\n    activities:\n"
        + load("stranger") + load("too-long", data="long.jsonl") + load("bad-number") + load("bad-tools")
        + load("one-token") + load("crowded", arrivals="{process: closed, users: 4}")
    )  # fmt: skip
    some = [{"prompt": f"question {number}"} for number in range(7)]
    ended = ran(text, one=[{"prompt": "x"}], long=[{"prompt": "x" * 2000}], some=some, golden=cases)
    return ended, {name: counters(one) for name, one in servers.items()}


@pytest.fixture(scope="module")
def activity(measured):
    return lambda name: measured[0].report["activities"][name]


def test_what_was_sent_is_what_the_server_served_and_tokens_are_its_own_count(measured, activity):
    for name, tokens in (("streamed", TOKENS), ("whole", WHOLE_TOKENS)):
        said, truth = activity(name), measured[1][name]
        assert said["requests"]["ok"] == said["requests"]["sent"] == said["requests"]["scheduled"] == 25
        assert said["tokens"]["output"] == truth["tokens_predicted_total"] == 25 * tokens
        prompts = truth["prompt_tokens_total"] + truth["prompt_tokens_cached_total"]
        assert said["tokens"]["input"] == prompts
        assert said["ok_without_tokens"] == 0


def test_tpot_is_the_servers_own_time_for_its_tokens_and_ttft_holds_its_prompt(measured, activity):
    said, truth = activity("streamed"), measured[1]["streamed"]
    requests = said["tpot_s"]["count"]
    assert requests == said["ttft_s"]["count"] == 25
    generating_s = said["tpot_s"]["mean"] * (TOKENS - 1)
    own_s = 0.003 + said["generator"]["hub_delay_p99_s"]  # what the report itself says that it was late
    assert generating_s == pytest.approx(
        truth["tokens_predicted_seconds_total"] / requests, rel=0.1, abs=own_s
    )
    first = said["aliases"]["vllm"]["ttft_s"]["mean"]
    assert truth["prompt_seconds_total"] / requests < first <= said["ttft_s"]["mean"]
    # the server's own whole: prompt, tokens; ours has the way there and back, and what stands in line
    assert first + generating_s <= said["service_time_s"]["mean"] * 1.01
    assert said["service_time_s"]["mean"] <= said["latency_s"]["mean"]


def test_chunks_are_not_tokens(activity):
    said = activity("streamed")
    chunks = said["itl_s"]["count"] + said["requests"]["ok"]
    assert chunks < said["tokens"]["output"], "llama.cpp holds bytes back until they are whole characters"
    assert chunks > said["tokens"]["output"] / 2


def test_a_whole_answer_has_tokens_and_no_time_inside(activity):
    said = activity("whole")
    assert "latency_s" in said
    assert not {"ttft_s", "tpot_s", "itl_s"} & said.keys()


def test_one_token_has_a_first_and_no_time_per_token(activity):
    said = activity("one-token")
    assert said["tokens"]["output"] == said["requests"]["ok"] == 10
    assert not {"tpot_s", "itl_s"} & said.keys()


def test_a_model_that_it_does_not_have_answers_all_the_same(activity):
    said = activity("stranger")
    assert said["requests"]["ok"] == said["requests"]["sent"] == 10


@pytest.mark.parametrize(
    ("name", "outcome", "words"),
    [
        ("too-long", "http_400", "exceeds the available context size (512 tokens)"),
        ("bad-number", "http_400", "Field 'max_tokens'"),
        ("bad-tools", "http_500", "Expected 'tools' to be an array"),
    ],
)
def test_a_refusal_keeps_its_status_and_the_servers_words(activity, name, outcome, words):
    said = activity(name)
    assert said["requests"]["by_error"] == {outcome: 10}
    assert words in said["errors"][0]["text"]
    assert said["tokens"] == {"input": 0, "output": 0}


def test_an_error_in_mid_stream_is_invalid_though_its_status_was_200(activity):
    said = activity("crowded")
    assert said["requests"]["by_error"].keys() == {"invalid"}
    assert "Context size has been exceeded" in said["errors"][0]["text"]


def test_golden_answers_of_a_real_model_hold_and_a_wrong_one_does_not(activity):
    cases = activity("golden")["cases"]
    assert (cases["judged"], cases["passed"]) == (len(CASES) + 1, len(CASES))
    assert [one["case"] for one in cases["failed"]] == ["wrong"]


def dying(url: str) -> str:
    tokens = "extra_body: {ignore_eos: true}, timeout: 20s"
    return f"""
campaign: dying
seed: 3
targets:
  streamed: {{protocol: openai-chat, model: tiny, url: "{url}", {tokens}}}
  whole: {{protocol: openai-chat, model: tiny, url: "{url}", stream: false, {tokens}}}
phases:
  - name: peak
    activities:
""" + "".join(
        load(name, duration="12s", arrivals="{process: constant, rate: 4/s}", data="{synthetic: "
             "{input_tokens: 8, output_tokens: 400}}") for name in ("streamed", "whole")
    )  # fmt: skip


def in_mid_stream(seen: dict[str, float]) -> bool:
    """Whether one of each kind is being answered, and well beyond its first token."""
    return seen["requests_processing"] >= 2 and seen["n_decode_total"] >= 60


def test_a_server_killed_in_mid_stream_leaves_each_request_its_own_end(program, run, until):
    server = program(SCRIPT, "--width", "512", "--layers", "4", "--slots", "8")
    ended = run(dying(server.url), "--workers", "1")
    until(lambda: in_mid_stream(counters(server)))
    server.process.kill()
    server.process.wait()
    ended.wait()
    report = ended.report()["activities"]
    streamed, whole = (report[name]["requests"] for name in ("streamed", "whole"))
    for counts in (streamed, whole):
        assert counts["sent"] == counts["scheduled"] == 48, "those after it were tried as well"
        assert counts["by_error"]["connect"] > 0
        assert counts["failed"] == sum(counts["by_error"].values())
    assert streamed["by_error"].keys() <= {"incomplete", "reset", "connect"}
    assert streamed["by_error"]["incomplete"] > 0, "streams that were open end without finish_reason"
    assert whole["by_error"].keys() == {"reset", "connect"}, "whole answers that were open never came"


def waiting(url: str, place_within: str) -> str:
    return f"""
campaign: waiting
seed: 3
validity: {{lag_p99: 2s, start_skew: 10s}}
place_within: {place_within}
targets:
  slow: {{protocol: openai-chat, model: tiny, url: "{url}", extra_body: {{max_tokens: 4}}}}
phases:
  - name: peak
    activities:
""" + load("slow", data="{synthetic: {input_tokens: 8, output_tokens: 4}}")


def test_a_server_that_loads_for_too_long_is_the_tests_fault_and_gets_no_request(program, run, until):
    server = program(SCRIPT, "--loading")
    until(lambda: says_loading(server))
    ended = run(waiting(server.url, "10s"), "--workers", "1")
    assert ended.wait() == 4, ended.output
    assert "not ready: 503" in " ".join(ended.report()["reasons"])
    assert "slow" not in ended.report()["activities"], "nothing was measured of it"


def test_a_server_that_has_loaded_in_time_gets_its_load_from_then_on(program, run, until):
    server = program(SCRIPT, "--loading")
    until(lambda: says_loading(server))
    ended = run(waiting(server.url, "60s"), "--workers", "1")
    until(lambda: ended.find("workers.engine"))
    server.process.kill()
    server.process.wait()
    program(SCRIPT, "--port", server.url.rsplit(":", 1)[1])
    assert ended.wait() == 0, ended.output
    assert ended.report()["activities"]["slow"]["requests"]["ok"] == 10


def says_loading(server: Any) -> bool:
    try:
        server.get(f"{server.url}/health")
    except urllib.error.HTTPError as error:
        with error:
            return error.code == 503
    except OSError:
        pass
    return False


def test_the_example_runs_as_it_stands_but_for_its_address_and_its_length(program, ran):
    server = program(SCRIPT, "--context", "2048")
    text = (SCRIPT.parents[2] / "examples" / "llama.yaml").read_text()
    for there, here in (
        ("http://127.0.0.1:8080", server.url),
        ("duration: 30s", "duration: 1s"),
        ("ramp: 5s", "ramp: 1s"),
        ("warmup: 5s", "warmup: 1s"),
        ("duration: 65s", "duration: 4s"),
    ):
        assert there in text
        text = text.replace(there, here)
    said = ran(text).report["activities"]
    for one in said.values():
        assert one["requests"]["failed"] == 0
        assert one["tokens"]["output"] == 32 * one["requests"]["ok"] > 0
