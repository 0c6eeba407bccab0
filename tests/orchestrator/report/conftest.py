"""Ended campaigns, made by the real planner, fold, aggregate and judge from made-up snapshots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path

import numpy as np
import pytest

from orchestrator.aggregate.totals import Aggregate
from orchestrator.campaign.load import load_campaign_text
from orchestrator.facts import State, fold
from orchestrator.judging.judging import Golden, judge_campaign, judge_phase
from orchestrator.plan import ActivityPlan, Plan, plan_of
from orchestrator.report.build import build_report
from orchestrator.results.outcome import Outcome
from orchestrator.slo.bounds import bounds_of
from orchestrator.store.entries import Entry
from workers.contract import facts as f
from workers.contract.bounds import Bound, BoundCount, add_counts
from workers.contract.schedule import arrivals_between
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import CaseResult, Cell, ErrorExample, Snapshot
from workers.contract.spec import attempt_id
from workers.engine.measure import Measured, count

STARTED_S = 1_795_341_600.0  # 22 Nov 2026, 10:00:00 UTC
LEASE_S = 3.0
FENCE_S = 11.0

CAMPAIGN = (Path(__file__).parent / "campaign.yaml").read_text()


@dataclass(frozen=True)
class Scenario:
    """What went wrong in a made-up campaign, besides the server's hang of two seconds."""

    slow_s: float = 0.0
    lose_a_shard: bool = False
    bad_cases: int = 0
    error_text: str = "connection reset by peer"
    all_fail: bool = False
    text: str = CAMPAIGN
    sets: tuple[str, ...] = ()
    fault_why: str = ""
    took_effect: bool = True


@dataclass
class Stage:
    """A campaign while it is made: facts in order, and what was absorbed."""

    scenario: Scenario
    facts: list[f.Fact] = field(default_factory=list)
    aggregate: Aggregate = field(default_factory=Aggregate)

    def say(self, *facts: f.Fact) -> None:
        self.facts += facts

    @property
    def state(self) -> State:
        return reduce(fold, self.facts, State())


def _requests(
    times_s: "np.ndarray", scenario: Scenario, *, hang: tuple[float, float] | None
) -> list[Measured]:
    """What a target of about 40 ms to the first of 24 tokens would do, with a hang in it."""
    draw = np.random.default_rng(int(times_s.sum() * 1000) % 2**32)
    found = []
    for at_s in times_s.tolist():
        stall_s = max(0.0, hang[1] - at_s) if hang and hang[0] <= at_s < hang[1] else 0.0
        if hang and hang[1] <= at_s < hang[1] + 1.4:
            stall_s = 0.5  # the backlog drains
        ttft = 0.04 + float(draw.gamma(2, 0.004)) + stall_s + scenario.slow_s
        gaps = tuple((0.005 + draw.gamma(2, 0.0004, 23)).tolist())
        latency = ttft + sum(gaps)
        broken = scenario.all_fail or bool(stall_s > 1.5 and draw.random() < 0.4)
        sample = Measured(
            "reset" if broken else "ok",
            latency=stall_s if broken else latency,
            service_time=latency - 0.001,
            lag=float(draw.gamma(2, 0.0003)),
            ttft=ttft,
            ttft_sent=ttft - 0.001,
            tpot=sum(gaps) / 23,
            itl=gaps,
        )
        found.append(sample)
    return found


def _cell(second: int, group: str, samples: Sequence[Measured], bounds: Sequence[Bound]) -> Cell:
    outcomes: dict[str, int] = {}
    counts: dict[str, BoundCount] = {}
    series: dict[str, list[float]] = {}
    for one in samples:
        outcomes[one.outcome] = outcomes.get(one.outcome, 0) + 1
        series.setdefault("lag", []).append(one.lag)
        for bound in bounds:
            counts[bound.id] = add_counts(
                counts.get(bound.id, BoundCount(0, 0, 0)), BoundCount(*count(bound, one))
            )
        if one.outcome != "ok":
            series.setdefault("latency_failed", []).append(one.latency)
            continue
        for name in ("latency", "service_time", "ttft", "ttft_sent", "tpot"):
            series.setdefault(name, []).append(getattr(one, name))
        series.setdefault("itl", []).extend(one.itl)
    ok = outcomes.get("ok", 0)
    sketches = {name: to_wire(sketch_of(values)) for name, values in series.items()}
    return Cell(second, group, outcomes, counts, sketches, 32 * ok, 24 * ok)


def _play_shard(
    stage: Stage, plan: ActivityPlan, *, shard: int, of: int, bounds: Sequence[Bound], number: int = 1,
    between_s: tuple[float, float] = (0.0, 1e9), hang: tuple[float, float] | None = None,
) -> None:  # fmt: skip
    """Snapshots of one attempt that took the shard's arrivals in `between_s`."""
    block = arrivals_between(
        plan.arrivals, shard=shard, of=of, from_index=0, until_ns=round(plan.duration_s * 1e9)
    )
    times = block.times_ns / 1e9
    begin_s, end_s = between_s
    for seq, second in enumerate(range(int(max(begin_s, 0)), int(min(plan.duration_s, end_s))), start=1):
        mine = (times >= second) & (times < second + 1) & (times >= begin_s)
        samples = _requests(times[mine], stage.scenario, hang=hang)
        done: dict[int, int] = {}
        for at_s, one in zip(times[mine].tolist(), samples, strict=True):
            done[int(at_s + one.latency)] = done.get(int(at_s + one.latency), 0) + (one.outcome == "ok")
        decided = block.indices[times < second + 1]
        failed = [one for one in samples if one.outcome != "ok"]
        stage.aggregate.absorb(
            Snapshot(
                activity=plan.key,
                shard=shard,
                attempt=attempt_id(plan.key, shard, number),
                seq=seq,
                at_s=second + 1.2,
                dispatched=int(decided[-1]) + 1 if len(decided) else 0,
                sent=int(mine.sum()),
                in_flight=[],
                cells=[_cell(second, "warmup" if second < plan.warmup_s else "", samples, bounds)]
                if samples
                else [],
                running={second: max(1, len(failed) * 3 + round(len(samples) * 0.16))},
                completions=done,
                hub_delay=to_wire(sketch_of([0.0004, 0.0006, 0.001])),
                busy_share=0.11,
                start_lag_s=0.004 * (shard + 1),
                examples=[
                    ErrorExample(
                        "reset", stage.scenario.error_text, f"{plan.key}/{seq}/{number}", float(second)
                    )
                    for _ in failed[:1]
                ],
            )
        )


def _card(name: str, *, labels: tuple[str, ...] = (), gpus: tuple[f.Gpu, ...] = ()) -> f.WorkerCard:
    return f.WorkerCard(
        name, f"{name}.1", f"{name}.internal", "0.1.0", 4, labels, gpus, pid=4711, cores=8,
        memory_bytes=32 * 2**30, driver="550.54.15" if gpus else "no NVIDIA driver",
        kernel="Linux 6.1.0-18-amd64", cpu="AMD EPYC 9454", python="3.11.2",
        offset_s=-0.0021, uncertainty_s=0.0004,
    )  # fmt: skip


def _place(
    stage: Stage, key: str, phase: str, *, shard: int = 0, of: int = 1, number: int = 1, at_s: float
) -> str:
    worker = "atlas" if (shard + number) % 2 else "borea"
    id_ = attempt_id(key, shard, number)
    stage.say(
        f.Placed(
            attempt=id_,
            phase=phase,
            activity=key,
            shard=shard,
            of=of,
            number=number,
            worker=worker,
            incarnation=f"{worker}.1",
            host=f"{worker}.internal",
            at_s=at_s,
        ),
        f.Claimed(attempt=id_, worker=worker, incarnation=f"{worker}.1", at_s=at_s + 0.05),
        f.Ready(attempt=id_, fingerprint="ab12", numpy="2.1", at_s=at_s + 0.2),
    )
    return id_


def _smoke(stage: Stage, plan: Plan, at_s: float) -> float:
    golden = plan.activity("golden")
    id_ = _place(stage, golden.key, "smoke", at_s=at_s)
    stage.say(f.PhaseStarted(phase="smoke", start_s=at_s + 1, at_s=at_s + 0.8))
    for row in range(24):
        passed = row >= stage.scenario.bad_cases
        why = "" if passed else f"content: expected 'one two', got {stage.scenario.error_text!r}"
        sample = Measured(
            "ok", latency=0.11 + row / 1000, service_time=0.11, ttft=0.05, ttft_sent=0.05, tpot=0.005
        )
        stage.aggregate.absorb(
            Snapshot(
                activity=golden.key, shard=0, attempt=id_, seq=row + 1, at_s=0.0, dispatched=row + 1,
                sent=row + 1, in_flight=[], cells=[_cell(row // 8, "", [sample], ())],
                cases=[CaseResult(row, f"echo-{row}", "ok", passed, why, 0.11, tags={"length": "short"})],
            )
        )  # fmt: skip
    stage.say(
        f.Exited(attempt=id_, outcome="done", dispatched=24, last_seq=24, silent_s=at_s + 4, at_s=at_s + 4)
    )
    stage.say(f.PhaseEnded(phase="smoke", verdict="pass", at_s=at_s + 4.5))
    return at_s + 5


def _peak(stage: Stage, plan: Plan, at_s: float, bounds: Sequence[Bound]) -> float:
    load, start_s = plan.activity("peak-load"), at_s + 1
    shards = [_place(stage, load.key, "peak", shard=shard, of=2, at_s=at_s) for shard in range(2)]
    chaos = _place(stage, "server-hang", "peak", at_s=at_s)
    stage.say(f.PhaseStarted(phase="peak", start_s=start_s, at_s=at_s + 0.8))
    hang = (35.02, 37.05)
    _play_shard(stage, load, shard=0, of=2, bounds=bounds, hang=hang)
    if stage.scenario.lose_a_shard:
        _play_shard(stage, load, shard=1, of=2, bounds=bounds, between_s=(0.0, 20.0), hang=hang)
        stage.say(
            f.Lost(
                attempt=shards[1],
                fence_s=start_s + 23,
                why="its lease ran out: kill -9 of its worker",
                at_s=start_s + 23.2,
            )
        )
        again = _place(stage, load.key, "peak", shard=1, of=2, number=2, at_s=start_s + 23.4)
        stage.say(f.Resumed(attempt=again, from_s=24.0, at_s=start_s + 23.6))
        _play_shard(stage, load, shard=1, of=2, bounds=bounds, number=2, between_s=(24.0, 1e9), hang=hang)
        shards[1] = again
    else:
        _play_shard(stage, load, shard=1, of=2, bounds=bounds, hang=hang)
    stage.say(
        f.FaultSeen(
            attempt=chaos,
            what="injected",
            processes=("4242 vllm",),
            uncertainty_s=0.0004,
            at_s=start_s + hang[0],
        ),
        f.FaultSeen(
            attempt=chaos,
            what="verified",
            took_effect=stage.scenario.took_effect,
            why=stage.scenario.fault_why,
            at_s=start_s + 35.1,
        ),
        f.FaultSeen(attempt=chaos, what="reverted", at_s=start_s + hang[1]),
        f.Exited(attempt=chaos, outcome="done", at_s=start_s + 37.3),
        f.Noted(by="dana", text="watching the dashboards; looks calm", at_s=start_s + 45),
    )
    stage.say(
        *(
            f.Exited(attempt=id_, outcome="done", dispatched=10**6, last_seq=60, at_s=start_s + 61)
            for id_ in shards
        )
    )
    return start_s + 62


def _soak(stage: Stage, plan: Plan, at_s: float, bounds: Sequence[Bound]) -> float:
    steady = plan.activity("steady")
    id_ = _place(stage, steady.key, "soak", at_s=at_s)
    stage.say(f.PhaseStarted(phase="soak", start_s=at_s + 1, at_s=at_s + 0.8))
    _play_shard(stage, steady, shard=0, of=1, bounds=bounds)
    stage.say(f.Exited(attempt=id_, outcome="done", dispatched=600, last_seq=30, at_s=at_s + 32))
    stage.say(f.PhaseEnded(phase="soak", verdict="pass", at_s=at_s + 33))
    return at_s + 33


def _outcome(scenario: Scenario) -> Outcome:
    campaign = load_campaign_text(scenario.text, sets=scenario.sets).campaign
    plan = plan_of(campaign, seed=campaign.seed or 99)
    stage = Stage(scenario)
    stage.say(
        f.Submitted(
            campaign=campaign.campaign, text=scenario.text, sets=scenario.sets, seed=plan.seed,
            by="dana@example.com", files={"golden/chat.jsonl": ("9f" * 32, 4096)},
            cases={"golden": 24}, at_s=STARTED_S,
        ),
        f.PhaseOpened(phase="smoke", at_s=STARTED_S + 0.1),
    )  # fmt: skip
    results = []

    def judged(phase: str) -> str:
        result = judge_phase(
            phase, campaign=campaign, plan=plan, state=stage.state, aggregate=stage.aggregate,
            golden=Golden({"golden": 24}),
        )  # fmt: skip
        results.append(result)
        return result.verdict.verdict or "skipped"

    def bounds(key: str) -> tuple[Bound, ...]:
        model = next(one for phase in campaign.phases for one in phase.activities if one.name == key)
        return tuple(bounds_of([*model.slos, *campaign.slos, *campaign.abort_if]))

    now_s = _smoke(stage, plan, STARTED_S + 0.2)
    judged("smoke")
    stage.say(f.PhaseOpened(phase="peak", at_s=now_s))
    now_s = _peak(stage, plan, now_s, bounds("peak-load"))
    peak = judged("peak")
    stage.say(f.PhaseEnded(phase="peak", verdict=peak, at_s=now_s))
    if peak in ("fail", "invalid"):
        stage.say(f.PhaseSkipped(phase="soak", why=f"it requires peak, whose verdict is {peak}", at_s=now_s))
    else:
        stage.say(f.PhaseOpened(phase="soak", at_s=now_s))
        now_s = _soak(stage, plan, now_s, bounds("steady"))
    judged("soak")
    verdict = judge_campaign(results, stage.state)
    stage.say(f.Ended(verdict=verdict.verdict, reasons=verdict.reasons, at_s=now_s))
    return Outcome(
        id=f"{campaign.campaign}-20261122-100000-k3xq",
        campaign=campaign,
        plan=plan,
        state=stage.state,
        phases=tuple(results),
        verdict=verdict,
        journal=tuple(Entry(f"{round(fact.at_s * 1000)}-0", fact) for fact in stage.facts),
        fleet=(_card("atlas", labels=("model-server",)), _card("borea", gpus=(f.Gpu("NVIDIA H200"),))),
        started_s=STARTED_S,
        ended_s=now_s,
    )


@pytest.fixture(scope="session")
def outcome_of() -> Callable[..., Outcome]:
    """Make an ended campaign: `outcome_of(slow_s=..., lose_a_shard=..., ...)`, fields of Scenario."""
    return lambda **what: _outcome(replace(Scenario(), **what))


@pytest.fixture(scope="session")
def passed(outcome_of):
    """A campaign whose target held, with one hang that it survived."""
    return outcome_of()


@pytest.fixture(scope="session")
def failed(outcome_of):
    """A campaign with a slow target, a lost shard and a wrong case; its soak was skipped."""
    return outcome_of(slow_s=0.3, lose_a_shard=True, bad_cases=1)


@pytest.fixture(scope="session")
def report(passed):
    return build_report(passed)
