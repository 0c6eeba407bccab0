"""Writes docs/benchmarks.md and its pictures from benchmarks/results/*.json.

Run: python benchmarks/page.py [--check]; with --check it writes nothing and fails where they differ.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
from aims import ENGINE, QUANTILES, Rounds, aims, error_s, quantile_errors
from bars import Bar, chart
from results import load, middle

ROOT = Path(__file__).parents[1]
PAGE, IMAGES = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "images"
TEMPLATE = Path(__file__).parent / "benchmarks.md.j2"
AIMED = ("locust", "peers", "truth", "memory", "coordinator")
NAMES = (*AIMED, "machine")
TITLES = {"engine": ENGINE, "aiperf": "AIPerf", "guidellm": "GuideLLM"}
MARKS = {True: "yes", False: "**no**", None: "-"}

Results = Mapping[str, Any]


def main() -> int:
    """Write all files, or compare them."""
    files = dict(written({name: load(name) for name in NAMES}))
    if "--check" in sys.argv[1:]:
        stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what the results say: run python benchmarks/page.py")
        return 1 if stale else 0
    for path, text in files.items():
        path.write_text(text)
        print(path.relative_to(ROOT))
    return 0


def written(results: Mapping[str, Results | None]) -> Iterator[tuple[Path, str]]:
    """Each file with its text."""
    locust, peers, truth = (results[name] for name in ("locust", "peers", "truth"))
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined,
        autoescape=False,
    )  # fmt: skip
    told = aims(**{name: results[name] for name in AIMED})
    template = environment.from_string(TEMPLATE.read_text())
    text = template.render(
        aims=[(aim.what, aim.bound, aim.measured, MARKS[aim.holds]) for aim in told],
        short=[aim for aim in told if aim.holds is False],
        locust=locust,
        requests=list(_requests(locust)) if locust else [],
        peers=peers,
        cost=list(_cost(peers["cases"].get("cost", {}))) if peers else [],
        poisson=list(_poisson(peers["cases"])) if peers else [],
        truth=truth,
        open_loop=list(_open_loop(truth["cases"])) if truth else [],
        shapes=list(_shapes(truth["cases"])) if truth else [],
        quantiles=QUANTILES,
        memory=results["memory"],
        coordinator=results["coordinator"],
        steady=results["coordinator"]["cases"].get("steady") if results["coordinator"] else None,
        placing=results["coordinator"]["cases"].get("placing") if results["coordinator"] else None,
        stalls=results["machine"],
        machine=next((one["machine"] for one in results.values() if one), None),
    )
    yield PAGE, text
    if locust:
        for part, title in (
            ("paced", "CPU of one request, paced to 5,000/s"),
            ("saturated", "CPU of one request, saturated"),
        ):
            yield IMAGES / f"benchmarks-{part}.svg", _cpu_bars(title, locust["cases"][part])
    if peers:
        yield IMAGES / "benchmarks-streams.svg", _stream_bars(peers["cases"].get("cost", {}))
        yield IMAGES / "benchmarks-ttft.svg", _ttft_bars(peers["cases"])


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1e3 * seconds:.2f}" if seconds < 0.01 else f"{1e3 * seconds:.1f}"


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _requests(locust: Results) -> Iterator[list[str]]:
    for part, cases in locust["cases"].items():
        for name, rounds in cases.items():
            figures = [
                _whole(middle(rounds, "per_s")),
                f"{middle(rounds, 'cpu_us'):.1f}",
                _whole(middle(rounds, "per_core_s")),
            ]
            times = [_ms(middle(rounds, f"p{q}_s")) for q in ("50", "90", "99", "99.9")]
            own = "-" if name != ENGINE else _ms(middle(rounds, "lag_p99_s"))
            yield [part, name, *figures, *times, own]


def _cost(cases: Mapping[str, Rounds]) -> Iterator[list[str]]:
    ours = middle(cases.get("engine", ()), "cpu_ms")
    for name, rounds in cases.items():
        cost = middle(rounds, "cpu_ms")
        if cost is None:
            yield [TITLES[name], f"failed: {_words(rounds)}", "-", "-", "-", "-", "-"]
            continue
        times = [
            _ms(middle(rounds, key)) for key in ("ttft_p50_s", "ttft_p99_s", "truth_p50_s", "truth_p99_s")
        ]
        yield [TITLES[name], f"{cost:.2f}", f"{cost / ours:.1f}" if ours else "-", *times]


def _poisson(cases: Mapping[str, Mapping[str, Rounds]]) -> Iterator[list[str]]:
    for case, tools in sorted(cases.items(), key=lambda item: _rate(item[0])):
        if not case.startswith("poisson"):
            continue
        asked, _, cores = case.removeprefix("poisson ").partition(", ")
        for name, rounds in tools.items():
            if middle(rounds, "ttft_p50_s") is None:
                yield [
                    asked,
                    TITLES[name],
                    cores or "one core",
                    f"failed: {_words(rounds)}",
                    "-",
                    "-",
                    "-",
                    "-",
                ]
                continue
            pairs = [
                f"{_ms(middle(rounds, f'ttft_{q}_s'))} / {_ms(middle(rounds, f'truth_{q}_s'))}"
                for q in ("p50", "p99")
            ]
            off_s = error_s(rounds, told="ttft_p99_s", truth="truth_p99_s")
            reached, cpu_s = _whole(middle(rounds, "reached_per_s")), middle(rounds, "cpu_s")
            yield [
                asked,
                TITLES[name],
                cores or "one core",
                f"{reached}/s",
                *pairs,
                _ms(off_s),
                f"{cpu_s:.1f}",
            ]


def _rate(case: str) -> tuple[float, str]:
    number = case.removeprefix("poisson ").partition("/s")[0]
    return (float(number) if number.replace(".", "").isdigit() else 0.0, case)


def _words(rounds: Rounds) -> str:
    said = next((one["error"] for one in rounds if "error" in one), "no figures")
    return " ".join(said.split())[:80].replace("|", "/")


def _open_loop(cases: Mapping[str, Rounds]) -> Iterator[list[str]]:
    for name, rounds in cases.items():
        if name.startswith("service times"):
            continue
        core = f"{middle(rounds, 'core'):.2f}"
        lag = [_ms(middle(rounds, key)) for key in ("lag_p50_s", "lag_p99_s", "hub_delay_p99_s")]
        ttft = [
            f"{_ms(middle(rounds, f'ttft_{q}_s'))} / {_ms(middle(rounds, f'truth_ttft_{q}_s'))}"
            if middle(rounds, f"ttft_{q}_s") is not None
            else "-"
            for q in ("p50", "p99")
        ]
        yield [
            name,
            f"{middle(rounds, 'cpu_us'):,.0f}",
            core,
            *lag,
            *ttft,
            _ms(middle(rounds, "server_turn_max_s")),
        ]


def _shapes(cases: Mapping[str, Rounds]) -> Iterator[list[str]]:
    for name, rounds in cases.items():
        if not name.startswith("service times"):
            continue
        cells = []
        for quantile in QUANTILES:
            pairs = quantile_errors(rounds, quantile)
            true_s = middle([{"x": true_s} for _, true_s in pairs], "x")
            off_s = middle([{"x": error} for error, _ in pairs], "x")
            assert true_s is not None
            assert off_s is not None
            cells.append(f"{1e3 * true_s:.1f} {1e3 * off_s:+.2f}")
        yield [name.removeprefix("service times: "), *cells]


def _cpu_bars(title: str, cases: Mapping[str, Rounds]) -> str:
    bars = [
        Bar(name, cost, f"{cost:.1f} µs", ours=name == ENGINE)
        for name, rounds in cases.items()
        if (cost := middle(rounds, "cpu_us")) is not None
    ]
    return chart(
        title, bars, note="Microseconds of CPU in the client; shorter is better. hey and wrk record far less."
    )


def _stream_bars(cases: Mapping[str, Rounds]) -> str:
    bars = [
        Bar(TITLES[name], cost, f"{cost:.2f} ms", ours=name == "engine")
        for name, rounds in cases.items()
        if (cost := middle(rounds, "cpu_ms")) is not None
    ]
    title = "CPU of one 64-token stream, 64 at a time"
    return chart(
        title,
        bars,
        note="Milliseconds of CPU of the client's whole process tree, marginal; shorter is better.",
    )


def _ttft_bars(cases: Mapping[str, Mapping[str, Rounds]]) -> str:
    bars = []
    for case, tools in cases.items():
        if case.startswith("poisson 400/s"):
            on = " (both cores)" if case.endswith("both cores") else ""
            for name, rounds in tools.items():
                off_s = error_s(rounds, told="ttft_p99_s", truth="truth_p99_s")
                if off_s is not None:
                    bars.append(
                        Bar(TITLES[name] + on, off_s, f"{1e3 * off_s:+.1f} ms", ours=name == "engine")
                    )
    title = "TTFT p99 at 400 streams a second: shown minus true"
    return chart(title, bars, note="Milliseconds beyond the server's own log; shorter is better.")


if __name__ == "__main__":
    sys.exit(main())
