"""SLOs so far: the judge's words on the rows there are, at every moment of a run, and cheaply."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from orchestrator.aggregate.totals import Aggregate, Totals
from orchestrator.campaign.load import load_campaign_text
from orchestrator.facts import State, fold
from orchestrator.live import slos
from orchestrator.live.slos import EVERY_S, MOST_SHARE, STEP_S, SloWatch, so_far
from orchestrator.plan import plan_of
from workers.contract import facts as f
from workers.contract.bounds import BoundCount
from workers.contract.sketch import sketch_of

NOT_DUE_S = 600.0
SLOS = (
    "success_rate >= 90%",
    "p99(latency) < 100ms",
    "p90(ttft) < 1s over 20s",
    "p50(latency) < 1s outside faults",
    "p50(latency) < 1s during hang",
    "p50(latency) < 1s during second",
    "goodput(ttft < 1s, tpot < 50ms) >= 95%",
    "mean(latency) < 1s",
    "max(latency) < 1ms",
    "never(timeout)",
    "always(ok)",
    "burn_rate < 10 over 30s and 10s",
    "throughput >= 5/s",
    "tokens_per_s > 1",
)
TEXT = """
campaign: watched
seed: 1
targets:
  chat: {protocol: openai-chat, model: demo, url: "http://127.0.0.1:9"}
phases:
  - name: peak
    activities:
      - name: load
        kind: load
        target: chat
        arrivals:
          process: constant
          stages: [{name: first, rate: 10/s, for: 30s}, {name: second, rate: 10/s, for: 30s}]
        warmup: 5s
        data: {synthetic: {input_tokens: 8, output_tokens: 4}}
        slos:
SLOS
      - {name: hang, kind: chaos, fault: pause-process, target: chat, match: {port: 9}, at: 20s, for: 5s}
""".replace("SLOS", "\n".join(f"          - {slo}" for slo in SLOS))


def watched(seconds: int, *, failed: int = 0, latency_s: float = 0.05) -> SimpleNamespace:
    """A campaign in which `seconds` have come in, 10 requests each, the fault at 20 s included."""
    campaign = load_campaign_text(TEXT, base=None).campaign
    aggregate, state = Aggregate(), State()
    totals = aggregate.of("load")
    over = 10 if latency_s >= 0.1 else 0
    for second in range(seconds):
        row = Totals()
        row.outcomes.update({"ok": 10 - failed, "timeout": failed})
        row.output_tokens = 4 * (10 - failed)
        for series in ("latency", "ttft", "tpot"):
            row.sketches[series] = sketch_of(np.full(10 - failed, latency_s))
        row.bounds = {
            "latency<0.1": BoundCount(10, max(over, failed), max(over, failed)),
            "latency<1": BoundCount(10, failed, failed),
            "ttft<1": BoundCount(10, failed, failed),
            "goodput(ttft<1,tpot<0.05)": BoundCount(10, failed, failed),
        }
        totals.seconds["warmup" if second < 5 else "", second] = row
    placed = f.Placed(
        attempt="hang:0:1", phase="peak", activity="hang", shard=0, of=1, number=1, worker="w",
        incarnation="i", at_s=99.0,
    )  # fmt: skip
    facts: list[f.Fact] = [f.PhaseOpened(phase="peak", at_s=99.0), placed]
    facts.append(f.PhaseStarted(phase="peak", start_s=100.0, at_s=99.5))
    for at, what in ((20, "injected"), (20, "verified"), (25, "reverted")):
        if seconds >= at:
            took = True if what == "verified" else None
            facts.append(f.FaultSeen(attempt="hang:0:1", what=what, took_effect=took, at_s=100.0 + at))
    for fact in facts:
        state = fold(state, fact)
    return SimpleNamespace(
        campaign=campaign, plan=plan_of(campaign, seed=1), state=state, aggregate=aggregate
    )


@pytest.mark.parametrize("seconds", range(1, 61, 3))
def test_every_form_can_be_asked_at_every_moment(seconds: int) -> None:
    said = list(so_far(watched(seconds), "peak", float(seconds)))
    assert [(key, one.slo) for key, one in said] == [("load", slo) for slo in SLOS]


def test_what_holds_holds_so_far_and_says_the_value_seen() -> None:
    said = {one.slo: one for _, one in so_far(watched(60), "peak", 60.0)}
    assert (said["success_rate >= 90%"].verdict, said["success_rate >= 90%"].seen) == ("pass", "100%")
    assert said["never(timeout)"].verdict == "pass"
    assert said["p99(latency) < 100ms"].seen.endswith(" ms")
    assert said["p99(latency) < 100ms"].verdict == "pass"
    assert said["max(latency) < 1ms"].verdict == "fail"


def test_what_is_broken_is_broken_so_far() -> None:
    said = {one.slo: one for _, one in so_far(watched(60, failed=3), "peak", 60.0)}
    assert said["success_rate >= 90%"].verdict == "fail"
    assert said["success_rate >= 90%"].seen == "70%"
    assert said["never(timeout)"].verdict == "fail"


def test_little_data_claims_nothing() -> None:
    said = {one.slo: one.verdict for _, one in so_far(watched(8), "peak", 8.0)}
    assert said["p99(latency) < 100ms"] == "inconclusive"


def look(watch: SloWatch, run: SimpleNamespace, elapsed_s: float) -> object:
    """What is said once a whole round was due and done."""
    before = watch.said
    for _ in range(100):
        watch.next_s = 0.0
        if watch.look(run, "peak", elapsed_s) is not before:
            break
    return watch.said


def test_what_was_said_stands_until_a_new_round_is_due_and_done() -> None:
    watch, begun_s = SloWatch(), time.monotonic()
    first = look(watch, watched(60), 60.0)
    assert [one.slo for one in first["load"]] == list(SLOS)
    assert watch.next_s - begun_s >= EVERY_S
    watch.next_s = time.monotonic() + NOT_DUE_S
    assert watch.look(watched(60, failed=5), "peak", 60.0) is first
    assert look(watch, watched(60, failed=5), 60.0)["load"][0].verdict == "fail"


def test_a_step_takes_a_moment_and_leaves_the_leader_its_time(monkeypatch) -> None:
    read: list[float] = []

    def clock() -> float:
        read.append(1.0 + STEP_S / 4 * len(read))
        return read[-1]

    run, watch = watched(60), SloWatch()
    monkeypatch.setattr(slos, "time", SimpleNamespace(monotonic=clock))
    assert watch.look(run, "peak", 60.0) == {}, "not all are judged in one step"
    took_s = read[-1] - read[0]
    assert STEP_S <= took_s < 2 * STEP_S
    assert watch.next_s == pytest.approx(read[0] + took_s / MOST_SHARE)


def test_another_phase_begins_with_nothing_said() -> None:
    watch = SloWatch()
    assert look(watch, watched(60), 60.0)
    assert watch.look(watched(60), "other", 0.5) == {}
