"""One engine on one core against a server that logs its own truth (servers/truth.c).

Run: python benchmarks/bench_truth.py [--seconds 10] [--rounds 3]
Lag at 5,000 requests/s; 2,000 streams at once; Poisson streams at 400, 800 and 1,500/s; quantiles of known
service times; a stall of 2 s at 500/s. Server on core 0, engine on core 1. All rounds are kept in
results/truth.json; the line printed at the end is the median.
"""

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
from engine_runner import Figures, run_engine
from results import CLIENT_CPU, SERVER_CPU, middle, save
from truth_server import Floats, Truth, truth_server

SHAPES = {
    "constant 20 ms": "constant:20",
    "exponential, mean 20 ms": "exponential:20",
    "lognormal, median 15 ms, σ 0.8": "lognormal:15:0.8",
    "bimodal, 5 ms and 7% of 80 ms": "bimodal:5:80:0.07",
}
SHAPES_PER_S = 1000.0
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
STREAM_RATES = (400.0, 800.0, 1500.0)
MANY, MANY_TOKENS, MANY_GAP_MS, FIRST_MS = 2000, 64, 50.0, 50.0
WARMUP_S = 1.0
"""Streams are compared from then on: connections are open, and as many under way as will be."""
STALL_PER_S, STALL_S, STALL_AT_S, STALL_RUN_S = 500.0, 2.0, 5.0, 20.0

Case = dict[str, Any]


def main() -> None:
    """Measure every case in every round; print medians, save all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    cases: dict[str, list[Case]] = {}
    for number in range(given.rounds):
        for name, figures in _round(given.seconds, seed=number + 1):
            cases.setdefault(name, []).append(figures)
            print(f"round {number + 1}: {name}: {_line(figures)}", flush=True)
    print(f"\nmedians of {given.rounds}")
    for name, rounds in cases.items():
        keys = dict.fromkeys(key for one in rounds for key in one)
        print(f"  {name}: {_line({key: middle(rounds, key) for key in keys})}")
    print(save("truth", cases, settings=vars(given), versions={}))


def _round(seconds: float, *, seed: int) -> list[tuple[str, Case]]:
    found = [("open loop, 5,000 requests/s", _requests(5000.0, seconds=seconds, seed=seed))]
    life_s = (FIRST_MS + (MANY_TOKENS - 1) * MANY_GAP_MS) / 1e3
    rate_per_s = MANY / life_s
    many = _streams(
        rate_per_s, tokens=MANY_TOKENS, gap_ms=MANY_GAP_MS, seconds=seconds, life_s=life_s, seed=seed
    )
    found.append(("2,000 streams at once", many))
    for rate in STREAM_RATES:
        figures = _streams(rate, tokens=16, gap_ms=5.0, seconds=seconds, life_s=0.0, seed=seed)
        found.append((f"streams of 16 tokens, {rate:,.0f}/s", figures))
    for name, service in SHAPES.items():
        found.append((f"service times: {name}", _shape(service, seconds=seconds, seed=seed)))
    found.append(("stall of 2 s at 500/s", _stall(seed=seed)))
    return found


def _requests(rate: float, *, seconds: float, seed: int) -> Case:
    with truth_server(cpu=SERVER_CPU, seed=seed) as truth:
        figures = run_engine(truth.url, rate_per_s=rate, duration_s=seconds, cpu=CLIENT_CPU, seed=seed)
        return _shared(figures, truth)


def _streams(rate: float, *, tokens: int, gap_ms: float, seconds: float, life_s: float, seed: int) -> Case:
    warmup_s = life_s + WARMUP_S
    with truth_server(cpu=SERVER_CPU, gap_ms=gap_ms, tokens=tokens, first_ms=FIRST_MS) as truth:
        figures = run_engine(
            truth.url,
            rate_per_s=rate,
            duration_s=warmup_s + seconds,
            stream=True,
            tokens=tokens,
            cpu=CLIENT_CPU,
            seed=seed,
            warmup_s=warmup_s,
        )
        log = truth.log().after(warmup_s)
        told = {
            f"{name}_p{100 * q:g}_s": figures.quantile(name, q)
            for name in ("ttft", "ttft_sent")
            for q in (0.5, 0.99)
        }
        true = {f"truth_ttft_p{100 * q:g}_s": log.quantile("ttft_s", q) for q in (0.5, 0.99)}
        at_once = _at_once(log.received_s, log.received_s + log.service_s)
        return _shared(figures, truth) | told | true | {"at_once": at_once}


def _at_once(begun_s: Floats, ended_s: Floats) -> int:
    """The most requests that were in the server at one time."""
    order = np.argsort(np.concatenate([begun_s, ended_s]), kind="stable")
    steps = np.concatenate([np.ones(len(begun_s)), -np.ones(len(ended_s))])
    return int(np.cumsum(steps[order]).max())


def _shape(service: str, *, seconds: float, seed: int) -> Case:
    with truth_server(cpu=SERVER_CPU, service=service, seed=seed) as truth:
        figures = run_engine(
            truth.url, rate_per_s=SHAPES_PER_S, duration_s=seconds, cpu=CLIENT_CPU, seed=seed
        )
        log = truth.log()
        told: Case = {}
        for q in QUANTILES:
            told[f"told_p{100 * q:g}_s"] = figures.quantile("service_time", q)
            told[f"truth_p{100 * q:g}_s"] = log.quantile("service_s", q)
        return _shared(figures, truth) | told


def _stall(*, seed: int) -> Case:
    """2 s in which nothing leaves the server: each arrival then waits for the stall's end.

    Arithmetic: of rate · duration arrivals, rate · 2 s have latencies spread evenly over 0 to 2 s.
    """
    stall = f"{STALL_AT_S * 1e3:g}:{STALL_S * 1e3:g}"
    with truth_server(cpu=SERVER_CPU, service="constant:5", stall=stall, seed=seed) as truth:
        figures = run_engine(
            truth.url,
            rate_per_s=STALL_PER_S,
            duration_s=STALL_RUN_S,
            process="constant",
            cpu=CLIENT_CPU,
            seed=seed,
        )
        share = STALL_S / STALL_RUN_S
        lag = figures.sketches["lag"]
        return _shared(figures, truth) | {
            "latency_p99_s": figures.quantile("latency", 0.99),
            "arithmetic_p99_s": STALL_S * (1 - 0.01 / share),
            "lag_max_s": lag.high,
            "truth_service_p99_s": truth.log().quantile("service_s", 0.99),
        }


def _shared(figures: Figures, truth: Truth) -> Case:
    own = truth.summary()
    return {
        "requests": figures.requests,
        "failed": figures.requests - figures.ok,
        "unsent": figures.unsent,
        "per_s": figures.per_s,
        "cpu_us": figures.cpu_us,
        "core": figures.cpu_s / figures.wall_s,
        "lag_p50_s": figures.quantile("lag", 0.5),
        "lag_p99_s": figures.quantile("lag", 0.99),
        "hub_delay_p99_s": figures.hub_delay.quantile(0.99),
        "server_late_p99_s": own["late_p99_ns"] / 1e9,
        "server_turn_max_s": own["turn_max_ns"] / 1e9,
    }


def _line(figures: Mapping[str, Any]) -> str:
    parts = []
    for name, value in figures.items():
        if value is None:
            continue
        if name.endswith("_s") and name != "per_s":
            parts.append(f"{name.removesuffix('_s')} {1e3 * value:.2f} ms")
        elif name == "core":
            parts.append(f"core {value:.2f}")
        else:
            parts.append(f"{name} {value:,.0f}")
    return "  ".join(parts)


if __name__ == "__main__":
    main()
