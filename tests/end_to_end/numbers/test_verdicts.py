"""Claims are judged by what the data can carry."""

from typing import Any

import pytest

VERDICTS: dict[str, dict[str, str]] = {
    "n459": {"p99(latency) < 5s": "pass", "p99.9(latency) < 5s": "inconclusive", "rate >= 459/s": "pass",
             "throughput > 459/s": "fail", "max(latency) < 5s": "pass"},
    "n458": {"p99(latency) < 5s": "inconclusive", "success_rate >= 99%": "inconclusive"},
    "mixed": {"p95(latency) < 900ms": "pass", "p99(latency) < 900ms": "fail",
              "p90(latency) < 900ms over 2s": "pass",
              "p90(latency) < 900ms for lang=de": "pass", "max(latency) < 900ms for lang=de": "pass",
              "max(latency) < 900ms": "fail", "goodput(latency < 900ms) >= 95%": "pass",
              "goodput(latency < 900ms) >= 99%": "fail", "min(latency) > 1ms": "pass",
              "mean(latency) < 5s": "inconclusive", "cost_per_1k_requests < $0.02": "fail",
              "cost_per_1k_requests <= $0.02": "pass"},
    "errors": {"success_rate >= 80%": "pass", "never(http_5xx)": "fail", "never(http_503)": "fail",
               "never(http_4xx)": "pass", "always(ok)": "fail", "always(ok) for lang=de": "pass",
               "burn_rate < 0.6 over 3s": "pass", "burn_rate < 0.4 over 3s": "fail",
               "burn_rate < 0.4 over 6s and 2s": "fail", "p90(latency) < 5s": "inconclusive",
               "p95(latency) < 5s": "fail"},
    "stages": {"rate <= 20/s during low": "pass", "rate > 20/s during low": "fail",
               "rate >= 80/s during high": "pass"},
    "talk": {"tokens_per_s >= 160": "pass", "tokens_per_s > 160": "fail", "p90(ttft) < 50ms": "fail"},
}  # fmt: skip


@pytest.fixture(scope="module")
def verdicts(server, campaign, one_load) -> Any:
    servers = {"js": server()}
    text = f"""
campaign: verdicts
seed: 3
prices: {{machine_hour: 3.6, machines: 3}}
targets:
  js: {{protocol: json-http, url: "{servers["js"].url}", timeout: 10s}}
  chat: {{protocol: openai-chat, model: m, url: "{servers["js"].url}", timeout: 10s}}
phases:
  - name: a
    activities:
"""
    tagged = {"duration": "6s", "target": "js"}
    text += one_load("n459", "process: constant, rate: 459/s", duration="1s", slos=VERDICTS["n459"])
    text += one_load("n458", "process: constant, rate: 458/s", duration="1s", slos=VERDICTS["n458"])
    for name, rate in (("mixed", 150), ("errors", 50)):
        data = f"{{file: {name}.jsonl, tags: [lang]}}"
        text += one_load(name, f"process: constant, rate: {rate}/s", **tagged, data=data, slos=VERDICTS[name])
    stages = "stages: [{name: low, rate: 20/s, for: 3s}, {name: high, rate: 100/s, for: 3s, ramp: 1s}]"
    text += one_load("stages", f"process: constant, {stages}", slos=VERDICTS["stages"])
    text += one_load(
        "talk", "process: constant, rate: 20/s", duration="6s", target="chat", slos=VERDICTS["talk"]
    )
    files = {name: [{"do": "plain", "ms": 2}] for name in ("n459", "n458", "stages")} | {
        # 18 of 900 over: 2%, three a second, all in English
        "mixed": [
            {"do": "plain", "ms": 2 if i else 1000, "lang": "de" if i % 2 else "en"} for i in range(50)
        ],
        # 10% fail, all in English
        "errors": [
            {"do": "reply", "status": 200 if i else 503, "text": "1", "lang": "de" if i % 2 else "en"}
            for i in range(10)
        ],
        "talk": [{"do": "stream", "ms": 60, "tokens": 8, "messages": []}],
    }
    return campaign(text, "--workers", "2", files=files), servers


@pytest.mark.parametrize("activity", VERDICTS)
def test_each_claim_is_judged_by_what_the_data_can_carry(verdicts, activity):
    said = {one["slo"]: one for one in verdicts[0].report["slos"] if one["activity"] == activity}
    assert {slo: one["verdict"] for slo, one in said.items()} == VERDICTS[activity], [
        (slo, one["why"]) for slo, one in said.items() if one["verdict"] != VERDICTS[activity][slo]
    ]


def test_a_claim_says_how_many_requests_it_stands_on_and_what_was_seen(verdicts):
    said = {(one["activity"], one["slo"]): one for one in verdicts[0].report["slos"]}
    assert said["n459", "p99(latency) < 5s"]["samples"] == 459
    assert said["mixed", "p90(latency) < 900ms for lang=de"]["samples"] == 450
    assert said["mixed", "goodput(latency < 900ms) >= 95%"]["observed"] == pytest.approx(0.98)
    assert said["mixed", "p99(latency) < 900ms"]["observed"] > 0.9
    assert said["mixed", "cost_per_1k_requests < $0.02"]["observed"] == pytest.approx(0.02)
    assert said["errors", "burn_rate < 0.6 over 3s"]["observed"] == pytest.approx(0.5)
    assert said["stages", "rate <= 20/s during low"]["observed"] == pytest.approx(20)
    assert said["talk", "tokens_per_s >= 160"]["observed"] == pytest.approx(160)
    assert verdicts[0].code == 1


def test_counts_add_up_and_agree_with_the_servers_log(verdicts, agrees_with_logs):
    agrees_with_logs(*verdicts)
