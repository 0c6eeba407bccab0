"""What engine and coordinator are meant to reach, beside the saved results: one row an aim, none left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results import middle

ENGINE = "Shakeout engine"
FAST = "Locust FastHttpUser"
LAG_S, MANY_S = 0.005, 0.005
RATE_ERRORS_S = {400: 0.002, 1500: 0.010}
QUANTILE_SHARE, QUANTILE_S, BELOW_SHARE = 0.01, 0.001, 0.005
STALL_SHARE, STALL_LAG_S = 0.05, 0.010
GROWTH_MIB = 20.0
CORE_SHARE, REDIS_MIB, PLACED_S, MERGED_PER_S = 0.5, 64.0, 5.0, 20_000
FLAT_MIB = 2.0
"""Between the first and the last third of a run: a stream's block more or less is no growth."""
NOT_YET = "not measured yet"
QUANTILES = ("50", "90", "95", "99", "99.9")

Rounds = Sequence[Mapping[str, Any]]
Results = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Aim:
    """One promise: what, its bound, what came out, and whether it holds (None: no figures yet)."""

    what: str
    bound: str
    measured: str
    holds: bool | None


def aims(
    *,
    locust: Results | None,
    peers: Results | None,
    truth: Results | None,
    memory: Results | None,
    coordinator: Results | None,
) -> list[Aim]:
    """Every aim in the order of the page."""
    return [
        *_against_locust(locust["cases"] if locust else {}),
        *_against_peers(peers["cases"] if peers else {}),
        *_open_loop(truth["cases"] if truth else {}),
        *_true(truth["cases"] if truth else {}),
        _memory(memory["cases"] if memory else {}),
        *_coordinator(coordinator["cases"] if coordinator else {}),
    ]


def ratio(rounds: Mapping[str, Rounds], name: str, other: str, *, figure: str) -> float | None:
    """Median of one tool over the median of another; None where one was not measured."""
    ours, theirs = middle(rounds.get(name, ()), figure), middle(rounds.get(other, ()), figure)
    return ours / theirs if ours is not None and theirs else None


def quantile_errors(rounds: Rounds, quantile: str) -> list[tuple[float, float]]:
    """(told - truth, truth) in seconds, a pair a round."""
    return [
        (one[f"told_p{quantile}_s"] - one[f"truth_p{quantile}_s"], one[f"truth_p{quantile}_s"])
        for one in rounds
    ]


def error_s(rounds: Rounds, *, told: str, truth: str) -> float | None:
    """The median over rounds of told - truth, in seconds."""
    return middle([{"error": one[told] - one[truth]} for one in rounds if told in one], "error")


def _at_most(what: str, bound: float, found: float | None, *, text: str, unit: str = "") -> Aim:
    if found is None:
        return Aim(what, f"≤ {bound:g}{unit}", NOT_YET, None)
    return Aim(what, f"≤ {bound:g}{unit}", text, found <= bound)


def _against_locust(cases: Mapping[str, Any]) -> list[Aim]:
    found = []
    for part, bound in (("paced", 0.5), ("saturated", 0.4)):
        rounds = cases.get(part, {})
        share = ratio(rounds, ENGINE, FAST, figure="cpu_us")
        ours, theirs = middle(rounds.get(ENGINE, ()), "cpu_us"), middle(rounds.get(FAST, ()), "cpu_us")
        text = f"{share:.2f} ({ours:.0f} of {theirs:.0f} µs)" if share is not None else ""
        what = {"paced": "paced to 5,000/s", "saturated": "saturated"}[part]
        found.append(
            _at_most(f"CPU of a request, {what}, as a share of FastHttpUser's", bound, share, text=text)
        )
    times = ratio(cases.get("saturated", {}), ENGINE, FAST, figure="per_core_s")
    what = "Throughput per core, as a multiple of FastHttpUser's"
    found.append(Aim(what, "≥ 2.5", f"{times:.2f}" if times else NOT_YET, times >= 2.5 if times else None))
    return found


def _against_peers(cases: Mapping[str, Any]) -> list[Aim]:
    rounds, found = cases.get("cost", {}), []
    for name, title, parts in (("aiperf", "AIPerf", 5), ("guidellm", "GuideLLM", 6)):
        share = ratio(rounds, "engine", name, figure="cpu_ms")
        what = f"CPU of a 64-token stream, as a share of {title}'s"
        if share is None:
            found.append(Aim(what, f"≤ 1/{parts}", NOT_YET, None))
        else:
            ours, theirs = middle(rounds["engine"], "cpu_ms"), middle(rounds[name], "cpu_ms")
            text = f"1/{1 / share:.1f} ({ours:.2f} of {theirs:.1f} ms)"
            found.append(Aim(what, f"≤ 1/{parts}", text, share <= 1 / parts))
    return found


def _open_loop(cases: Mapping[str, Any]) -> list[Aim]:
    lag_s = middle(cases.get("open loop, 5,000 requests/s", ()), "lag_p99_s")
    found = [_milliseconds("Lag p99 at 5,000 requests/s on one core", LAG_S, lag_s)]
    many = cases.get("2,000 streams at once", ())
    off_s = error_s(many, told="ttft_p99_s", truth="truth_ttft_p99_s")
    found.append(_milliseconds("2,000 streams at once: TTFT p99 off the server's truth", MANY_S, off_s))
    for rate, bound_s in RATE_ERRORS_S.items():
        rounds = cases.get(f"streams of 16 tokens, {rate:,}/s", ())
        off_s = error_s(rounds, told="ttft_p99_s", truth="truth_ttft_p99_s")
        what = f"Poisson 16-token streams at {rate:,}/s: TTFT p99 off the truth"
        found.append(_milliseconds(what, bound_s, off_s))
    return found


def _milliseconds(what: str, bound_s: float, found_s: float | None) -> Aim:
    if found_s is None:
        return Aim(what, f"≤ {1e3 * bound_s:g} ms", NOT_YET, None)
    return Aim(what, f"≤ {1e3 * bound_s:g} ms", f"{1e3 * found_s:.1f} ms", abs(found_s) <= bound_s)


def _true(cases: Mapping[str, Any]) -> list[Aim]:
    return [
        *_quantiles({name: rounds for name, rounds in cases.items() if name.startswith("service times")}),
        *_stall(cases),
    ]


def _quantiles(shapes: Mapping[str, Rounds]) -> list[Aim]:
    """Each quantile of each shape by the median of its rounds; the worst is told."""
    over: list[tuple[float, float]] = []
    below: list[float] = []
    for rounds in shapes.values():
        for quantile in QUANTILES:
            pairs = quantile_errors(rounds, quantile)
            excess_s = middle([{"x": error - QUANTILE_SHARE * true_s} for error, true_s in pairs], "x")
            under = middle([{"x": -error / true_s} for error, true_s in pairs], "x")
            if excess_s is not None and under is not None:
                over.append((excess_s, max(excess_s, 0.0)))
                below.append(under)
    what = "Known service times: the worst quantile beyond 1% of the truth"
    if not over:
        return [Aim(what, "≤ 1 ms", NOT_YET, None), Aim("and below the truth by", "≤ 0.5%", NOT_YET, None)]
    worst_s, least = max(over)[1], max(below)
    return [
        Aim(what, "≤ 1 ms", f"{1e3 * worst_s:.2f} ms", worst_s <= QUANTILE_S),
        Aim("and below the truth by", "≤ 0.5%", f"{100 * max(least, 0):.2f}%", least <= BELOW_SHARE),
    ]


def _stall(cases: Mapping[str, Any]) -> list[Aim]:
    rounds = cases.get("stall of 2 s at 500/s", ())
    told_s, due_s = middle(rounds, "latency_p99_s"), middle(rounds, "arithmetic_p99_s")
    lag_s = middle(rounds, "lag_p99_s")
    what = "A stall of 2 s at 500/s: p99(latency) off what arithmetic says"
    if told_s is None or due_s is None or lag_s is None:
        return [Aim(what, "≤ 5%", NOT_YET, None)]
    share = abs(told_s - due_s) / due_s
    return [
        Aim(what, "≤ 5%", f"{100 * share:.1f}% ({told_s:.2f} of {due_s:.2f} s)", share <= STALL_SHARE),
        Aim("and lag p99 in that run", "≤ 10 ms", f"{1e3 * lag_s:.1f} ms", lag_s <= STALL_LAG_S),
    ]


def _memory(cases: Mapping[str, Any]) -> Aim:
    what = "Growth of an engine over 7 million requests with 10,000 error texts"
    growth = cases.get("growth_mib")
    text = f"{growth:.1f} MiB over {cases['requests'] / 1e6:.1f} million" if growth is not None else ""
    return _at_most(what, GROWTH_MIB, growth, text=text, unit=" MiB")


def _coordinator(cases: Mapping[str, Any]) -> list[Aim]:
    steady, placing, merging = (cases.get(name, {}) for name in ("steady", "placing", "merging"))
    wide = f"{steady.get('shards', 1000):,} shards, {steady.get('sketches_per_s', 4000):,} sketches a second"
    share, mib = steady.get("cpu_share"), steady.get("redis_last_mib")
    grown = mib - steady["redis_first_mib"] if mib is not None else None
    placed_s, merged = placing.get("submit_to_sent_s"), merging.get("sketches_per_core_s")
    few = f"{merged:,.0f}" if merged is not None else NOT_YET
    many = f"{placing.get('shards', 10_000):,} shards on {placing.get('workers', 1000):,} workers"
    return [
        _at_most(
            f"{wide}: CPU of the coordinator", CORE_SHARE, share, text=f"{share or 0:.2f}", unit=" core"
        ),
        _at_most("Redis' memory in that run", REDIS_MIB, mib, text=f"{mib or 0:.1f} MiB", unit=" MiB"),
        _at_most("and its growth", FLAT_MIB, grown, text=f"{grown or 0:.1f} MiB", unit=" MiB"),
        _at_most(
            f"{many}: from submit to the last task",
            PLACED_S,
            placed_s,
            text=f"{placed_s or 0:.1f} s",
            unit=" s",
        ),
        Aim(
            "Sketches merged a second of one core",
            f"≥ {MERGED_PER_S:,}",
            few,
            merged >= MERGED_PER_S if merged else None,
        ),
    ]
