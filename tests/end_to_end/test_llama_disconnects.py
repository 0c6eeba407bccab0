"""Clients that leave llama.cpp's streams: its own gauge of requests at work comes back to none."""

import re
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "llama_server.py"
CAMPAIGN = """
campaign: leavers
seed: 5
validity: {{lag_p99: 2s, start_skew: 10s}}
targets:
  chat: {{protocol: openai-chat, model: tiny, url: "{url}", timeout: 20s, extra_body: {{ignore_eos: true}}}}
phases:
  - name: only
    activities:
      - name: beside
        kind: load
        target: chat
        shards: 1
        arrivals: {{process: constant, rate: 2/s}}
        duration: 8s
        data: one.jsonl
      - name: leavers
        kind: chaos
        at: 1s
        for: 3s
        target: chat
        fault: disconnect-mid-stream
        with: {{rate: 5/s, after_tokens: 4}}
"""


def _gauge(server, name):
    (value,) = re.findall(rf"^llamacpp:{name} (\S+)$", server.get(f"{server.url}/metrics"), re.MULTILINE)
    return float(value)


@pytest.fixture(scope="module")
def left(program, ran):
    server = program(SCRIPT, "--width", "256", "--layers", "4", "--context", "2048")
    ended = ran(CAMPAIGN.format(url=server.url), one=[{"prompt": "x", "max_tokens": 4}])
    return server, ended


def test_clients_left_and_the_server_gave_their_places_back(left, until):
    server, ended = left
    (fault,) = ended.report["faults"]
    assert fault["took_effect"] is True, fault["why"]
    assert fault["did"]["left"] >= 3
    until(lambda: _gauge(server, "requests_processing") == 0)
    said = ended.report["activities"]["beside"]["requests"]
    assert said["sent"] == said["scheduled"] == 16


def test_the_server_did_not_go_on_for_those_who_had_left(left, until):
    """Each would have got some thousand tokens."""
    server, ended = left
    until(lambda: _gauge(server, "requests_processing") == 0)
    did = ended.report["faults"][0]["did"]
    assert _gauge(server, "tokens_predicted_total") < did["sent"] * 500
