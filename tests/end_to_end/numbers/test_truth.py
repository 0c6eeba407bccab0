"""Every reported quantile against the server's own log of the same requests; a stall as arithmetic has it.

The server's interval lies inside ours: it stamps a request after it read it, and its answer before it writes
it. So no quantile of ours may be below its by more than the sketch's 0.5%, however busy this machine is.
Above it, a busy machine makes answers wait for a core; of that the engine's own probe tells.
"""

import math
from collections.abc import Sequence
from typing import Any

import pytest

LAWS = ("constant", "exponential", "lognormal", "bimodal")
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
SKETCH = 0.005
STALL_S = 2.0
STALL_RATE = 500
LENGTH_S = 6


def nearest_rank(values: Sequence[float], q: float) -> float:
    return sorted(values)[max(math.ceil(q * len(values) - 1e-6) - 1, 0)]


def service_s(lines: Sequence[dict[str, Any]]) -> list[float]:
    return [(line["done_ns"] - line["received_ns"]) / 1e9 for line in lines]


@pytest.fixture(scope="module")
def truth(server, campaign, one_load) -> Any:
    servers = {"js": server(), "stall": server("--stall", f"2:{2 + STALL_S:g}")}
    targets = "\n".join(
        f'  {name}: {{protocol: json-http, url: "{one.url}", timeout: 10s}}' for name, one in servers.items()
    )
    text = f"campaign: truth\nseed: 11\ntargets:\n{targets}\nphases:\n"
    for number, pair in enumerate((LAWS[:2], LAWS[2:])):
        text += f"  - name: pair-{number}\n    activities:\n"
        for law in pair:
            text += one_load(law, "process: poisson, rate: 100/s", duration="3s")
    text += "  - name: stalled\n    activities:\n"
    text += one_load(
        "stalled", f"process: constant, rate: {STALL_RATE}/s", target="stall", duration=f"{LENGTH_S}s",
        slos=["max(latency) < 1s", "success_rate >= 90%"],
    )  # fmt: skip
    files: dict[str, list[object]] = {law: [{"do": "drawn", "law": law, "ms": 20}] for law in LAWS}
    return campaign(text, "--workers", "2", files=files | {"stalled": [{"do": "plain", "ms": 2}]}), servers


@pytest.mark.parametrize("law", LAWS)
def test_no_quantile_is_below_the_servers_own_by_more_than_the_sketch(truth, law):
    ended, servers = truth
    said, lines = ended.activity(law), servers["js"].requests(law)
    true = service_s(lines)
    q = said["service_time_s"]
    assert q["count"] == len(true) == said["requests"]["ok"] > 250
    assert q["max"] >= max(true)
    assert q["mean"] >= sum(true) / len(true)
    for name, share in QUANTILES.items():
        assert q[name] >= nearest_rank(true, share) * (1 - SKETCH), name


@pytest.mark.parametrize("law", LAWS)
def test_every_quantile_is_the_servers_own_but_for_what_the_probe_saw_of_this_machine(truth, law):
    ended, servers = truth
    said, true = ended.activity(law), service_s(servers["js"].requests(law))
    q, lag, hub_s = said["service_time_s"], said["lag_s"], said["generator"]["hub_delay_p99_s"]
    # three times what is promised; a request at a high rank may have met several late wakings
    for name, share in QUANTILES.items():
        noise_s = 3 * hub_s if share <= 0.95 else 0.05 + 3 * hub_s
        assert q[name] <= nearest_rank(true, share) * 1.03 + 0.003 + noise_s, name
        # latency adds what came before the first byte: our own lag, and a first connection
        before_s = lag["max"] + said["connect_s"]["max"] + said["wait_s"]["max"]
        assert q[name] * (1 - 2 * SKETCH) <= said["latency_s"][name] <= q[name] * (1 + 2 * SKETCH) + before_s


def test_a_stall_raises_latency_as_arithmetic_says_and_no_arrival_is_blamed_on_lag(truth, due):
    said = truth[0].activity("stalled")
    counts = said["requests"]
    scheduled = STALL_RATE * LENGTH_S
    assert counts["scheduled"] == counts["ok"] == scheduled
    # the i-th to come in the stall waits 2 s less i/500: of 3,000 the 30 slowest are above p99
    for name, share in {"p99": 0.99, "p95": 0.95, "p90": 0.9}.items():
        waited_s = STALL_S - (1 - share) * scheduled / STALL_RATE
        assert due(said, name, waited_s), name
    assert due(said, "max", STALL_S)
    assert said["latency_s"]["p50"] < 0.5
    # were it blamed on lag, a third of all would have up to 2 s of it; its end keeps the engine busy
    assert said["lag_s"]["p95"] < STALL_S / 10
    assert said["lag_s"]["max"] < STALL_S / 2
    assert said["wait_s"]["max"] == 0
    assert said["achieved"] == 1.0


def test_the_stall_is_the_targets_failure_and_not_the_generators(truth):
    assert truth[0].verdicts("stalled") == {"max(latency) < 1s": "fail", "success_rate >= 90%": "pass"}
    assert truth[0].code == 1


def test_counts_add_up_and_agree_with_the_servers_log(truth, agrees_with_logs):
    agrees_with_logs(*truth)
