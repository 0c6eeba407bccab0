"""What a target does wrong has its outcome; what a stream says has its times and tokens."""

from typing import Any

import pytest

CHAT = {"do": "stream", "ms": 60, "gap_ms": 10, "tokens": 8, "messages": [{"role": "user", "content": "x"}]}
STREAMS: dict[str, dict[str, object]] = {
    "good": {}, "merged": {"each": 2}, "reasoning": {"with": ["reasoning"]}, "no-done": {"with": ["no-done"]},
    "zero-usage": {"with": ["zero-usage"]}, "no-usage": {"with": ["no-usage"]}, "one": {"tokens": 1},
    "early-eof": {"with": ["early-eof"]}, "broken": {"with": ["reset"]}, "garbage": {"with": ["garbage"]},
}  # fmt: skip
PLAIN: dict[str, dict[str, object]] = {
    "busy": {"do": "reply", "status": 503, "text": "busy"},
    "page": {"do": "reply", "kind": "text/html", "text": "<p>"},
    "no-json": {"do": "reply", "text": "{nope"}, "hang": {"do": "hang"}, "drip": {"do": "drip"},
    "vanish": {"do": "vanish"}, "shut": {"do": "close"},
}  # fmt: skip
OUTCOMES = {
    "early-eof": "incomplete", "broken": "reset", "garbage": "invalid", "busy": "http_503", "page": "invalid",
    "no-json": "invalid", "hang": "timeout", "drip": "timeout", "vanish": "reset", "shut": "reset",
}  # fmt: skip


def _asked(name: str) -> str:
    """The target of a load: only who never gets an answer is given up soon."""
    return "gives-up" if OUTCOMES[name] == "timeout" else "js"


@pytest.fixture(scope="module")
def outcomes(server, campaign, one_load) -> Any:
    servers = {"js": server(), "leaves": server("--leave-after", "1")}
    text = f"""
campaign: outcomes
seed: 3
targets:
  chat: {{protocol: openai-chat, model: m, url: "{servers["js"].url}", timeout: 20s}}
  js: {{protocol: json-http, url: "{servers["js"].url}", timeout: 20s}}
  gives-up: {{protocol: json-http, url: "{servers["js"].url}", timeout: 1s}}
  leaves: {{protocol: json-http, url: "{servers["leaves"].url}", timeout: 1s}}
phases:
  - name: a
    activities:
"""
    rate = "process: constant, rate: 10/s"
    text += "".join(one_load(name, rate, target="chat", duration="2s") for name in STREAMS)
    text += "".join(one_load(name, rate, duration="2s", target=_asked(name)) for name in PLAIN)
    text += one_load("leaves", rate, target="leaves", duration="2s")
    text += one_load("line", rate, target="gives-up", duration="3s", max_in_flight=2)
    files = {name: [CHAT | more] for name, more in STREAMS.items()} | {
        name: [one] for name, one in PLAIN.items()
    }
    files |= {"leaves": [{"do": "once"}], "line": [{"do": "hang"}]}
    return campaign(text, "--workers", "1", files=files), servers


@pytest.mark.parametrize("activity", OUTCOMES)
def test_each_way_to_fail_has_its_outcome_and_its_latency_apart(outcomes, activity):
    said = outcomes[0].activity(activity)
    assert said["requests"]["by_error"] == {OUTCOMES[activity]: 20}
    assert said["latency_failed_s"]["count"] == 20
    assert "latency_s" not in said
    assert said["errors"][0]["text"]
    if OUTCOMES[activity] == "timeout":
        assert 1.0 <= said["latency_failed_s"]["p50"] < 1.5


def test_a_refused_connect_is_a_failure_that_reaches_no_log(outcomes):
    ended, servers = outcomes
    counts = ended.activity("leaves")["requests"]
    assert counts["by_error"]["connect"] > 0
    assert len(servers["leaves"].requests("leaves")) < counts["sent"]


def test_whoever_stands_in_line_beyond_the_timeout_is_unsent_and_the_targets_doing(outcomes):
    counts = outcomes[0].activity("line")["requests"]
    assert counts["unsent_by"]["target"] > 0
    assert counts["unsent"] == counts["unsent_by"]["target"]
    assert counts["by_error"] == {"timeout": counts["sent"]}


@pytest.mark.parametrize(
    ("activity", "chunks", "tokens"), [("good", 8, 8), ("merged", 4, 8), ("no-done", 8, 8)]
)
def test_times_of_a_stream_are_those_of_its_outputs_and_tokens_are_the_servers(
    outcomes, activity, chunks, tokens, close
):
    ended, servers = outcomes
    said = ended.activity(activity)
    lines = servers["js"].requests(activity)
    assert said["requests"]["ok"] == len(lines) == 20
    assert said["tokens"] == {"input": 60, "output": 20 * tokens}
    first = [(line["output_ns"][0] - line["received_ns"]) / 1e9 for line in lines]
    spans = [(line["output_ns"][-1] - line["output_ns"][0]) / 1e9 / (tokens - 1) for line in lines]
    sent_first = said["aliases"]["vllm"]["ttft_s"]
    assert close(sent_first["mean"], sum(first) / 20, abs_s=0.02)
    assert sent_first["p50"] > 0.055, "a role is no output"
    assert said["ttft_s"]["p50"] >= sent_first["p50"] * 0.99
    assert close(said["tpot_s"]["mean"], sum(spans) / 20, abs_s=0.003)
    assert said["itl_s"]["count"] == 20 * (chunks - 1)


def test_reasoning_is_output_and_one_token_has_no_time_per_token(outcomes):
    thought = outcomes[0].activity("reasoning")
    assert thought["ttft_s"]["p50"] < thought["ttfot_s"]["p50"]
    one = outcomes[0].activity("one")
    assert one["ttft_s"]["count"] == 20
    assert "tpot_s" not in one
    assert "itl_s" not in one


@pytest.mark.parametrize("activity", ["zero-usage", "no-usage"])
def test_tokens_that_nobody_told_are_absent_and_not_chunks(outcomes, activity):
    said = outcomes[0].activity(activity)
    assert said["requests"]["ok"] == 20
    assert said["tokens"]["output"] == 0
    assert said["ok_without_tokens"] == 20
    assert "tpot_s" not in said
    assert said["ttft_s"]["count"] == 20


def test_counts_add_up_and_agree_with_the_servers_log(outcomes, agrees_with_logs):
    agrees_with_logs(*outcomes)
