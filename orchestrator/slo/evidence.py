"""What was measured of one activity, as the judge reads it, and what the judge says of it.

Plain data: it comes from the folded snapshots of a live run or from a stored one alike. Seconds are of
intended time on the phase's clock; every count of a bound is exact (`workers.contract.bounds`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from orchestrator.slo.expressions import Expression
from orchestrator.slo.watched import UNWATCHED, Watched
from workers.contract.bounds import BoundCount
from workers.contract.snapshot import ABANDONED, JUDGED, UNSENT_GENERATOR, UNSENT_TARGET

Verdict = Literal["pass", "fail", "inconclusive", "invalid"]

OK = "ok"
_NO_ANSWER = frozenset({OK, UNSENT_TARGET, UNSENT_GENERATOR, ABANDONED})


@dataclass(frozen=True, slots=True)
class SeriesSum:
    """Count, sum, least and greatest of the values of a series in one second; seconds for request-series."""

    count: int
    sum: float
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Second:
    """One second of intended time in one group.

    `outcomes`: requests by `ok`, `http_NNN`, `timeout`, ..., `unsent_target`, `unsent_generator`,
    `abandoned`. `bounds`: by bound id. `tokens_absent`: ok requests whose output tokens are unknown. `sums`:
    by series; `lag` beside the request-series, telemetry by its own name. `quantiles`: series -> q (0..1) ->
    value, for the signals of faults, never for a verdict.
    """

    second: int
    outcomes: Mapping[str, int] = field(default_factory=dict)
    bounds: Mapping[str, BoundCount] = field(default_factory=dict)
    ok_tokens: int = 0
    tokens_absent: int = 0
    sums: Mapping[str, SeriesSum] = field(default_factory=dict)
    quantiles: Mapping[str, Mapping[float, float]] = field(default_factory=dict)

    @property
    def ok(self) -> int:
        """Requests answered well."""
        return self.outcomes.get(OK, 0)

    @property
    def failed(self) -> int:
        """Requests that were sent and failed."""
        return sum(count for name, count in self.outcomes.items() if name not in _NO_ANSWER)

    @property
    def unsent_target(self) -> int:
        """Arrivals that waited at `max_in_flight` for longer than the target's timeout."""
        return self.outcomes.get(UNSENT_TARGET, 0)

    @property
    def bad(self) -> int:
        """Failed and target-unsent: what counts against the target."""
        return self.failed + self.unsent_target

    @property
    def counted(self) -> int:
        """The denominator of every share: ok, failed and target-unsent."""
        return self.ok + self.bad

    @property
    def sent(self) -> int:
        """Requests that left the engine, those included that it abandoned."""
        return self.ok + self.failed + self.outcomes.get(ABANDONED, 0)


@dataclass(frozen=True, slots=True)
class FaultSpan:
    """One fault as it was done, in seconds on the phase's clock.

    `reverted_s`: None while it holds, and for one-shot faults. `recovered_s`: the traffic's return
    (`orchestrator.judging.recovery`), None if it never came. `uncertainty_s`: of the worker's clock against
    the common one. `took_effect`: what the fault's own `verify` saw; `why` says so in words. `residue`: what
    a revert left behind. `name` is the activity's, `step` which of its faults it is, `worker` and `host` who
    did it where, to which `processes` and to what else it `touched`; `intensity`: its share of strength.
    `last_injected_s`: of several joined, when the last began; None: there is but one. `did`: what it has
    done, counted.
    """

    name: str
    fault: str
    injected_s: float
    reverted_s: float | None
    recovered_s: float | None = None
    uncertainty_s: float = 0.0
    one_shot: bool = False
    took_effect: bool | None = True
    why: str = ""
    residue: str = ""
    step: int = 0
    worker: str = ""
    host: str = ""
    processes: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()
    intensity: float = 1.0
    last_injected_s: float | None = None
    did: Mapping[str, int] = field(default_factory=dict)

    @property
    def over_s(self) -> float | None:
        """From when on the target may recover: its revert, of a one-shot one its injection."""
        if self.one_shot:
            return self.injected_s if self.last_injected_s is None else self.last_injected_s
        return self.reverted_s

    @property
    def without_effect(self) -> str:
        """Why nothing may be claimed by it, in words: it had no effect, or nobody saw one; else ""."""
        if self.took_effect:
            return ""
        said = "did not take effect" if self.took_effect is False else "was never seen to take effect"
        return said + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class CaseCounts:
    """Golden cases: judged, passed, and those where target and baseline agree (None without one)."""

    judged: int
    passed: int
    agreed: int | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """The campaign's prices in `currency`, of a machine's hour and a kilowatt-hour."""

    machine_hour: float
    machines: float = 1
    kwh: float = 0.0
    currency: str = "USD"


QuantileOf = Callable[[str, str, float, frozenset[int]], float | None]
"""(group, series, q in 0..1, seconds) -> the sketch's quantile of ok requests, to show beside a verdict."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of one activity when it is judged.

    `groups`: rows of "" (the judged span), "warmup", "TAG=VALUE" and "stage=NAME"; `missed`: of them those
    requests that were not answered as their golden case expects. `tries`: by second, requests by the tries
    that each took, of clients that try again. `scheduled`, `in_flight`
    (the highest number in it), `completions` (answers by the second in which they ended): by second.
    `unknown`, `unsent_generator`: counts. `coverage`, `achieved`: shares in 0..1. `lag_p99_s`,
    `hub_delay_p99_s`, `start_skew_s` (over the phase's shards), `busy_share` (of a core, an engine's busiest
    second): of the generator, None where not measured. `values`: what was measured elsewhere, by the text of
    its value, e.g. `max_rate`, `max(target.rss)`, `energy_j`, `drift(psi,scores)`.
    `cases`: golden cases by group. `slos`: the activity's own. `ended_early`: why, or None. `lost_to`: why
    there are gaps, each reason once. `watched`: alerts and gauges beside the traffic.
    """

    activity: str
    kind: str
    duration_s: float
    warmup_s: float = 0.0
    groups: Mapping[str, tuple[Second, ...]] = field(default_factory=dict)
    missed: Mapping[str, tuple[Second, ...]] = field(default_factory=dict)
    tries: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    scheduled: Mapping[int, int] = field(default_factory=dict)
    in_flight: Mapping[int, int] = field(default_factory=dict)
    completions: Mapping[int, int] = field(default_factory=dict)
    unknown: int = 0
    unsent_generator: int = 0
    coverage: float = 1.0
    achieved: float = 1.0
    lag_p99_s: float | None = None
    hub_delay_p99_s: float | None = None
    start_skew_s: float | None = None
    busy_share: float | None = None
    faults: tuple[FaultSpan, ...] = ()
    stages: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    regression: CaseCounts | None = None
    cases: Mapping[str, CaseCounts] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    prices: Prices | None = None
    slos: tuple[Expression, ...] = ()
    quantile_of: QuantileOf | None = None
    ended_early: str | None = None
    lost_to: tuple[str, ...] = ()
    watched: Watched = UNWATCHED

    @property
    def seconds(self) -> tuple[Second, ...]:
        """The rows of the judged span."""
        return self.groups.get(JUDGED, ())

    def fault(self, name: str) -> FaultSpan | None:
        """The fault of the chaos activity `name`, on all its hosts together; None if it was not done."""
        spans = [fault for fault in self.faults if fault.name == name]
        return joined(spans) if spans else None


def joined(spans: Sequence[FaultSpan]) -> FaultSpan:
    """Several faults, or one on several hosts, as one: from the first injection to the last revert, recovery.

    It took effect where each did so on every host. One-shot ones among held ones count as reverted at once.
    Raises ValueError for no span.
    """
    if not spans:
        raise ValueError("no span to join")
    first = min(spans, key=lambda span: span.injected_s)
    if len(spans) == 1:
        return first
    one_shot = all(span.one_shot for span in spans)
    return replace(
        first,
        one_shot=one_shot,
        reverted_s=None if one_shot else _last([span.over_s for span in spans]),
        last_injected_s=max(span.injected_s for span in spans),
        recovered_s=_last([span.recovered_s for span in spans]),
        uncertainty_s=max(span.uncertainty_s for span in spans),
        took_effect=effect_of_all([span.took_effect for span in spans]),
        why=next((span.why for span in spans if not span.took_effect), first.why),
        residue="; ".join(span.residue for span in spans if span.residue),
    )


def effect_of_all(effects: Sequence[bool | None]) -> bool | None:
    """Of several: there was none where one had none, else it is as little known as the least of them."""
    return False if False in effects else None if None in effects else True


def _last(moments_s: Sequence[float | None]) -> float | None:
    known = [at_s for at_s in moments_s if at_s is not None]
    return max(known) if known and len(known) == len(moments_s) else None


class Validity(Protocol):
    """The limits beyond which the test, not the target, is to blame; the campaign's `validity` is one."""

    @property
    def achieved(self) -> float:
        """Least share of the offered arrivals that the generator sent, 0..1."""

    @property
    def coverage(self) -> float:
        """Least share of the scheduled arrivals that was sent and observed, 0..1."""

    @property
    def lag_p99(self) -> float:
        """Greatest p99 of lag and of hub delay, seconds."""

    @property
    def start_skew(self) -> float:
        """Greatest distance between the starts of a phase's shards, seconds."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of one expression on one activity: a line of report.json's `slos`.

    `observed` and `bound` are in the bound's base unit; `observed` is None where it was not measured.
    `samples`: what was counted; `effective_samples`: after the design effect, for sampled claims.
    """

    slo: str
    place: str
    activity: str
    verdict: Verdict
    observed: float | None
    bound: float
    samples: int
    effective_samples: float | None
    why: str
