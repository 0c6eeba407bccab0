"""What the engine pays for a request, beside stock Locust's FastHttpUser, and how true its times are.

Run: python benchmarks/bench_engine.py [--rounds 3] [--seconds 6] [--rate 5000] [--only json|streams]
For work on the engine: short, the best of some rounds. benchmarks/bench_locust.py compares at length.
Server on one core, client on the other; CPU is the client process's own, all it does included.
"""

import argparse
from collections.abc import Callable
from typing import Any

from bench_locust import locust
from engine_runner import Figures, run_engine
from results import CLIENT_CPU, SERVER_CPU
from truth_server import Truth, truth_server

GOALS = {"paced": 0.5, "saturated": 0.4}
"""CPU of a request, as a share of FastHttpUser's: what is promised."""
STREAMS = ((100.0, 64, 10.0), (400.0, 16, 5.0), (1500.0, 16, 5.0))
"""(streams a second, tokens, ms between them); the first comes after 50 ms."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rate", type=float, default=5000.0)
    parser.add_argument("--only", choices=("json", "streams"))
    given = parser.parse_args()
    if given.only != "streams":
        _json(rounds=given.rounds, seconds=given.seconds, rate=given.rate)
    if given.only != "json":
        _streams(rounds=given.rounds, seconds=given.seconds)


def _json(*, rounds: int, seconds: float, rate: float) -> None:
    with truth_server(cpu=SERVER_CPU) as truth:
        for part, per_s in (("paced", rate), ("saturated", None)):
            ours = _best(rounds, lambda per_s=per_s: _engine(truth, seconds=seconds, rate=per_s))  # type: ignore[misc]
            theirs = min(
                (locust(truth, seconds=seconds, rate=per_s, users=64, user="Fast") for _ in range(rounds)),
                key=_cpu_us,
            )
            ratio = ours.cpu_us / _cpu_us(theirs)
            lag_ms = [ours.quantile("lag", q) * 1e3 for q in (0.5, 0.99)]
            print(
                f"{part:10s} engine {ours.cpu_us:6.1f} µs a request, {ours.per_core_s:7,.0f}/s a core,"
                f" lag p50 {lag_ms[0]:.2f} p99 {lag_ms[1]:.2f} ms"
                f" | FastHttpUser {_cpu_us(theirs):6.1f} µs, {1e6 / _cpu_us(theirs):7,.0f}/s a core"
                f" | ratio {ratio:.2f} (goal {GOALS[part]}), throughput {1 / ratio:.1f} times",
                flush=True,
            )


def _streams(*, rounds: int, seconds: float) -> None:
    for rate, tokens, gap_ms in STREAMS:
        with truth_server(cpu=SERVER_CPU, gap_ms=gap_ms, tokens=tokens) as truth:
            best: tuple[float, str] = (1e9, "")
            for _ in range(rounds):
                truth.reset()
                ours = run_engine(
                    truth.url, rate_per_s=rate, duration_s=seconds, stream=True, tokens=tokens, cpu=CLIENT_CPU
                )
                log = truth.log()
                off = [ours.quantile("ttft_sent", q) - log.quantile("ttft_s", q) for q in (0.5, 0.99)]
                total = [ours.quantile("ttft", q) - log.quantile("ttft_s", q) for q in (0.5, 0.99)]
                text = (
                    f"{rate:6,.0f}/s of {tokens} tokens: {ours.cpu_us:7.1f} µs a stream, ttft off by:"
                    f" from sent p50 {off[0] * 1e3:+.2f} p99 {off[1] * 1e3:+.2f} ms,"
                    f" from intended p50 {total[0] * 1e3:+.2f} p99 {total[1] * 1e3:+.2f} ms;"
                    f" lag p99 {ours.quantile('lag', 0.99) * 1e3:.2f} ms,"
                    f" server's own error p99 {log.quantile('late_s', 0.99) * 1e3:.2f} ms"
                )
                best = min(best, (total[1], text))
            print(best[1], flush=True)


def _engine(truth: Truth, *, seconds: float, rate: float | None) -> Figures:
    return run_engine(truth.url, rate_per_s=rate, duration_s=seconds, cpu=CLIENT_CPU)


def _best(rounds: int, measure: Callable[[], Figures]) -> Figures:
    return min((measure() for _ in range(rounds)), key=lambda figures: figures.cpu_us)


def _cpu_us(figures: dict[str, Any]) -> float:
    return float(figures["cpu_us"])


if __name__ == "__main__":
    main()
