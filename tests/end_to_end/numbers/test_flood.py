"""A generator that is asked for more than it can do blames itself."""

from typing import Any

import pytest

RATE_PER_S, FOR_S = 600, 2
BODY = "{% for i in range(100000) %}{% endfor %}" * 3 + "{{ row|tojson }}"
"""Milliseconds of work a request: this engine can make some 100 in a second, and no target is too slow."""


@pytest.fixture(scope="module")
def flood(server, campaign, one_load) -> Any:
    servers = {"js": server()}
    text = f"""
campaign: flood
seed: 3
targets:
  js: {{protocol: json-http, url: "{servers["js"].url}", timeout: 20s, body: "{BODY}"}}
phases:
  - name: a
    activities:
"""
    slos = [f"throughput >= {RATE_PER_S - 10}/s", "p99(latency) < 100ms", "p99(service_time) < 1ms"]
    arrivals = f"process: constant, rate: {RATE_PER_S}/s"
    text += one_load("flood", arrivals, duration=f"{FOR_S}s", slos=slos)
    rows = [{"do": "plain", "n": n} for n in range(RATE_PER_S * FOR_S)]
    return campaign(text, "--workers", "1", files={"flood": rows}), servers


def test_a_generator_that_cannot_offer_the_rate_is_invalid_and_never_a_fail_or_a_pass(flood):
    ended = flood[0]
    said = ended.activity("flood")
    assert said["verdict"] == ended.report["verdict"] == "invalid"
    assert ended.code == 4
    assert said["achieved"] < 0.99
    assert said["lag_s"]["p99"] > 0.1
    assert "the generator sent" in said["reasons"][0]


def test_counts_add_up_and_agree_with_the_servers_log(flood, agrees_with_logs):
    agrees_with_logs(*flood)
