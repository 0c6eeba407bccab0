"""How each tool is run on streams, and what it says of them: this project's engine, AIPerf, GuideLLM.

A peer stands in an environment of its own (`.venv-aiperf`, `.venv-guidellm`); its CPU is that of its whole
process tree. Synthetic prompts of 32 tokens; the peers' tokenizer is a small local one (tiny_tokenizer.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine_runner import run_engine
from process_tree import Cost, tree_cost
from results import CLIENT_CPU

ROOT = Path(__file__).parents[1]
USERS = 64
PROMPT_TOKENS = 32
WITHIN_S = 240.0
"""For one run of a peer, start and report included."""


class PeerError(RuntimeError):
    """A tool did not do what was asked; the message has its own words."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one run cost and showed. `streams`: those it counts as good; times in seconds."""

    streams: int
    cpu_s: float
    per_s: float
    ttft_p50_s: float
    ttft_p99_s: float
    more: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What to do: `rate_per_s` None is 64 at a time."""

    url: str
    streams: int
    tokens: int
    rate_per_s: float | None
    cpus: frozenset[int]
    folder: Path


def engine(work: Work) -> Told:
    """This project's engine; TTFT from the intended time and, beside it, from the sent."""
    per_s = work.rate_per_s or USERS / (0.05 + (work.tokens - 1) * 0.01)
    found = run_engine(
        work.url, rate_per_s=work.rate_per_s, duration_s=work.streams / per_s, stream=True,
        tokens=work.tokens, users=USERS, cpu=CLIENT_CPU,
    )  # fmt: skip
    return Told(
        found.ok, found.cpu_s, found.per_s, found.quantile("ttft", 0.5), found.quantile("ttft", 0.99),
        {"sent_p50_s": found.quantile("ttft_sent", 0.5), "sent_p99_s": found.quantile("ttft_sent", 0.99)},
    )  # fmt: skip


def aiperf(work: Work) -> Told:
    """AIPerf; its own TTFT runs from the sent."""
    argv = [ROOT / ".venv-aiperf/bin/aiperf", "profile", "--model", "truth", "--url", work.url]
    argv += ["--endpoint-type", "chat", "--streaming", "--tokenizer", work.folder / "tokenizer"]
    argv += [
        "--isl",
        PROMPT_TOKENS,
        "--osl",
        work.tokens,
        "--use-server-token-count",
        "--request-count",
        work.streams,
    ]
    argv += [
        "--ui-type",
        "none",
        "--no-gpu-telemetry",
        "--no-server-metrics",
        "--artifact-dir",
        work.folder / "aiperf",
    ]
    if work.rate_per_s is None:
        argv += ["--concurrency", USERS]
    else:
        argv += ["--request-rate", f"{work.rate_per_s:g}", "--arrival-pattern", "poisson"]
    cost = _run(argv, work)
    told = _json(work.folder / "aiperf" / "profile_export_aiperf.json", cost)
    ttft = told["time_to_first_token"]
    count, per_s = told["request_count"]["avg"], told["request_throughput"]["avg"]
    return Told(int(count), cost.cpu_s, per_s, ttft["p50"] / 1e3, ttft["p99"] / 1e3)


def guidellm(work: Work) -> Told:
    """GuideLLM; its TTFT runs from the sent."""
    profile = (
        f"kind=poisson,rate={work.rate_per_s:g}" if work.rate_per_s else f"kind=concurrent,streams={USERS}"
    )
    result = work.folder / "guidellm.json"
    argv = [ROOT / ".venv-guidellm/bin/guidellm", "run", "--profile", profile]
    argv += ["--backend", f"kind=openai_http,target={work.url},model=truth"]
    argv += ["--constraint", f"kind=max_requests,count={work.streams}"]
    argv += ["--tokenizer", f"kind=huggingface_auto,model={work.folder / 'tokenizer'}"]
    argv += ["--data", f"kind=synthetic_text,prompt_tokens={PROMPT_TOKENS},output_tokens={work.tokens}"]
    argv += ["--disable-console", "--output", f"kind=json,path={result}"]
    cost = _run(argv, work)
    (benchmark,) = _json(result, cost)["benchmarks"]
    metrics = benchmark["metrics"]
    shown = metrics["time_to_first_token_ms"]["successful"]["percentiles"]
    count, per_s = (
        metrics["request_totals"]["successful"],
        metrics["requests_per_second"]["successful"]["mean"],
    )
    return Told(count, cost.cpu_s, per_s, shown["p50"] / 1e3, shown["p99"] / 1e3)


def _run(argv: list[Any], work: Work) -> Cost:
    return tree_cost(argv, cpus=set(work.cpus), within_s=WITHIN_S, folder=work.folder)


def _json(path: Path, cost: Cost) -> Any:
    if not path.exists():
        raise PeerError(f"no {path.name}; it said: {cost.output[-1000:]}")
    text = path.read_text()
    path.unlink()  # the next run must write its own
    return json.loads(text)
