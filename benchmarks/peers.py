"""The engine beside AIPerf and GuideLLM on streams, each in an environment of its own: `make bench-peers`.

Run: python benchmarks/peers.py [--rounds 2] [--seconds 6] [--only engine aiperf guidellm]
Cost: streams of 64 tokens (first after 50 ms, one each 10 ms), 64 at a time: marginal CPU of the client's
whole process tree, i.e. (CPU of a long run - CPU of a short one) / (difference of streams), so that start and
report are left out. Accuracy: Poisson streams of 16 tokens (first after 50 ms, one each 5 ms): the TTFT that
a tool shows beside the server's own log. Server on core 0, client on core 1; AIPerf also on both, as it is
made of many processes. Results: results/peers.json. A tool that is not installed is left out, with a line.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from peer_tools import ROOT, USERS, PeerError, Told, Work, aiperf, engine, guidellm
from process_tree import CommandError
from results import CLIENT_CPU, SERVER_CPU, middle, save
from truth_server import Truth, truth_server

SHORT, LONG = 256, 1280
RATES = (400.0, 1500.0)
TOKENIZER = Path(__file__).parent / "tiny_tokenizer.py"

Figures = dict[str, Any]

TOOLS: Mapping[str, Callable[[Work], Told]] = {"engine": engine, "aiperf": aiperf, "guidellm": guidellm}
ONE, BOTH = frozenset({CLIENT_CPU}), frozenset({SERVER_CPU, CLIENT_CPU})


def main() -> None:
    """Measure what is installed, round by round; print and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6.0, help="of a run at a rate")
    parser.add_argument("--only", nargs="+", choices=TOOLS, default=list(TOOLS))
    given = parser.parse_args()
    tools = {name: TOOLS[name] for name in given.only if name == "engine" or _installed(name)}
    versions = {name: _version(name) for name in tools if name != "engine"}
    settings = {"seconds": given.seconds, "short": SHORT, "long": LONG, "users": USERS}
    cases: dict[str, dict[str, list[Figures]]] = {}
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        _write_tokenizer(tools, Path(folder) / "tokenizer")
        for number in range(1, given.rounds + 1):
            for name, tool in tools.items():
                for case, figures in _cases(name, tool, seconds=given.seconds, folder=Path(folder)):
                    cases.setdefault(case, {}).setdefault(name, []).append(figures)
                    print(f"round {number}: {case}: {name}: {_line(figures)}", flush=True)
                    path = save("peers", cases, settings=settings | {"rounds": number}, versions=versions)
    for case, found in cases.items():
        print(f"\n{case}, medians of {given.rounds}")
        for name, rounds in found.items():
            print(f"  {name:10s} {_line(_medians(rounds))}")
    print(f"\n{path}")


def _medians(rounds: list[Figures]) -> Figures:
    """Of each figure, over the rounds that got there; the words of the last that failed where none did."""
    good = [one for one in rounds if "error" not in one]
    return {key: middle(good, key) for key in good[0]} if good else rounds[-1]


def _cases(
    name: str, tool: Callable[[Work], Told], *, seconds: float, folder: Path
) -> Iterator[tuple[str, Figures]]:
    yield "cost", _tried(partial(_cost, tool, folder=folder))
    for rate in RATES:
        on = partial(_poisson, tool, rate, seconds=seconds, folder=folder)
        yield f"poisson {rate:g}/s", _tried(partial(on, cpus=ONE))
        if name == "aiperf":
            yield f"poisson {rate:g}/s, both cores", _tried(partial(on, cpus=BOTH))


def _cost(tool: Callable[[Work], Told], *, folder: Path) -> Figures:
    """Marginal CPU of a stream; TTFT of the long run."""
    found: list[tuple[int, float]] = []
    for streams in (SHORT, LONG):
        with truth_server(cpu=SERVER_CPU, gap_ms=10.0) as truth:
            told = tool(
                Work(url=truth.url, streams=streams, tokens=64, rate_per_s=None, cpus=ONE, folder=folder)
            )
            figures = _shared(told, truth)
        found.append((told.streams, told.cpu_s))
    (few, few_s), (many, many_s) = found
    return figures | {"cpu_ms": (many_s - few_s) / (many - few) * 1e3, "short": few, "short_cpu_s": few_s}


def _poisson(
    tool: Callable[[Work], Told], rate: float, *, seconds: float, cpus: frozenset[int], folder: Path
) -> Figures:
    with truth_server(cpu=SERVER_CPU, gap_ms=5.0) as truth:
        work = Work(
            url=truth.url, streams=round(rate * seconds), tokens=16, rate_per_s=rate, cpus=cpus, folder=folder
        )
        return _shared(tool(work), truth)


def _shared(told: Told, truth: Truth) -> Figures:
    """What was told beside what the server did; `reached_per_s`: by the server's own log."""
    log, own = truth.log(), truth.summary()
    span_s = float(log.received_s[-1] - log.received_s[0])
    return {
        "streams": told.streams,
        "cpu_s": told.cpu_s,
        "per_s": told.per_s,
        "reached_per_s": (len(log.received_s) - 1) / span_s,
        "ttft_p50_s": told.ttft_p50_s,
        "ttft_p99_s": told.ttft_p99_s,
        **told.more,
        "truth_p50_s": log.quantile("ttft_s", 0.5),
        "truth_p99_s": log.quantile("ttft_s", 0.99),
        "truth_streams": len(log.received_s),
        "server_turn_max_s": own["turn_max_ns"] / 1e9,
    }


def _tried(measure: Callable[[], Figures]) -> Figures:
    """The figures, or the tool's own words where it did not get there: that too is a result."""
    try:
        return measure()
    except (PeerError, CommandError) as error:
        return {"error": str(error)[-1500:]}
    except (KeyError, IndexError, ZeroDivisionError) as error:
        return {"error": f"it told no such figure: {error!r}"}


def _installed(name: str) -> bool:
    there = (ROOT / f".venv-{name}" / "bin" / name).exists()
    if not there:
        print(f"{name} is left out: no .venv-{name}; `make bench-peers` makes it", flush=True)
    return there


def _write_tokenizer(tools: Mapping[str, Any], folder: Path) -> None:
    peers = [name for name in tools if name != "engine"]
    if peers:
        python = ROOT / f".venv-{peers[0]}" / "bin" / "python"
        subprocess.run([python, TOKENIZER, folder], check=True, timeout=120, capture_output=True)


def _version(name: str) -> str:
    code = f"import importlib.metadata; print(importlib.metadata.version({name!r}))"
    argv = [str(ROOT / f".venv-{name}" / "bin" / "python"), "-c", code]
    told: str = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return told.strip()


def _line(figures: Mapping[str, Any]) -> str:
    if "error" in figures:
        return "failed: " + " ".join(figures["error"].split())[-300:]
    cost = f"{figures['cpu_ms']:.2f} ms CPU a stream  " if "cpu_ms" in figures else ""
    times = "  ".join(
        f"{name} {1e3 * figures[f'{key}_p50_s']:.1f} / {1e3 * figures[f'{key}_p99_s']:.1f} ms"
        for name, key in (("TTFT p50 / p99", "ttft"), ("truth", "truth"))
    )
    reached = f"{figures['streams']:,.0f} streams at {figures['reached_per_s']:,.0f}/s"
    return f"{cost}{times}  {reached}, CPU {figures['cpu_s']:.1f} s"


if __name__ == "__main__":
    main()
