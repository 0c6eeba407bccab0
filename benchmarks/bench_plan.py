"""How long a dry run takes: a load of 10,000 shards on fleets of several sizes, and the three examples.

Run: python benchmarks/bench_plan.py
"""

import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.campaign.load import load_campaign, load_campaign_text
from orchestrator.plan import plan_of
from orchestrator.preview.preview import assumed_fleet, preview_of
from workers.contract.facts import WorkerCard

SHARDS = 10_000
BIG = f"""\
campaign: big
targets:
  chat: {{protocol: openai-chat, model: m, url: "http://127.0.0.1:8000"}}
phases:
  - name: only
    activities:
      - name: wide
        kind: load
        target: chat
        shards: {SHARDS}
        arrivals: {{process: poisson, rate: 1000000/s}}
        duration: 8h
        data: {{synthetic: {{input_tokens: 8, output_tokens: 8}}}}
        slos: [p99.9(latency) < 1s over 5m]
"""


def best_s(work: Callable[[], object], *, times: int = 5) -> float:
    """The shortest of several runs, in seconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> None:
    """Print one line a case."""
    campaign = load_campaign_text(BIG).campaign
    print(f"plan_of, {SHARDS:,} shards: {best_s(lambda: plan_of(campaign, seed=1)) * 1e3:.1f} ms")
    for workers in (2, 100, 1000):
        fleet = tuple(
            WorkerCard(f"w{number}", "one", f"host-{number}", "", slots=-(-SHARDS // workers))
            for number in range(workers)
        )
        taken_s = best_s(lambda fleet=fleet: preview_of(campaign, seed=1, fleet=fleet, cases={}))  # type: ignore[misc]
        print(f"preview, {SHARDS:,} shards on {workers:,} workers: {taken_s * 1e3:.1f} ms")
    for file in sorted((Path(__file__).parents[1] / "examples").glob("*.yaml")):
        example = load_campaign(file).campaign
        fleet = assumed_fleet(example, workers=2, slots=10, host="here")
        taken_s = best_s(lambda e=example, f=fleet: preview_of(e, seed=1, fleet=f, cases={}))  # type: ignore[misc]
        print(f"preview, {file.name}: {taken_s * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
