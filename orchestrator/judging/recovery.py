"""What a fault did to the traffic: its impact, when it was to be seen, and when the traffic had recovered.

Pure: one activity's evidence in, numbers out. METRICS.md section 9. All moments are seconds on the phase's
clock.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.judging.signals import Band, Signal, bands_of, is_outside, reading, signals_of
from orchestrator.slo.bounds import goodput_bound
from orchestrator.slo.evidence import Evidence, FaultSpan, Second, joined
from orchestrator.slo.expressions import Comparison, Expression, Goodput
from orchestrator.slo.fault_spans import baseline_seconds, fault_seconds, first_injected_s, guard_s
from orchestrator.stats.differences import Difference, difference
from workers.contract.snapshot import JUDGED, OWN_DELAY

LEAST_WINDOWS = 10
"""Fewer one-second windows than these are no baseline."""

BACK_FOR = 5
"""So many consecutive windows in the band are a recovery."""


@dataclass(frozen=True, slots=True)
class SignalImpact:
    """One signal's mean over the baseline's windows and over the fault's, and their difference.

    Shares in 0..1, throughput per second, times in seconds; `fault` and `change` are None without a window.
    Goodput is none of the signals that have a band: it is measured where an objective names its limits.
    """

    signal: Signal | Literal["goodput"]
    baseline: float
    fault: float | None
    change: Difference | None


@dataclass(frozen=True, slots=True)
class Impact:
    """What one fault did to one activity.

    `inconclusive`: why nothing can be said, empty where it can. `detected_s`: start of the first window
    outside the band. `recovered_s`: start of the first of 5 windows back in it. `recovery_s`: from the
    revert, for one-shot faults from the injection. `had_s`: the time that it had for it until the activity
    ended. `attempts_before`, `attempts_highest`: tries per request, in the baseline as a whole and in the
    fault's worst second; `attempts_during` in all of its seconds. None where clients do not try again.
    """

    fault: str
    activity: str
    inconclusive: str
    baseline_windows: int
    signals: tuple[SignalImpact, ...] = ()
    in_flight_before: int | None = None
    in_flight_highest: int | None = None
    detected_s: float | None = None
    recovered_s: float | None = None
    recovery_s: float | None = None
    had_s: float = 0.0
    attempts_before: float | None = None
    attempts_during: float | None = None
    attempts_highest: float | None = None


def assess(evidence: Evidence, fault: FaultSpan, slos: Sequence[Expression]) -> Impact:
    """Hold the seconds of a fault, and those after it, against the 30 s before it.

    `slos`: those that stand on the activity; a signal that has one is outside only where it is also beyond
    it.
    """
    before = baseline_seconds(evidence, fault)
    base = [row for row in _rows(evidence) if row.second in before]
    if len(base) < LEAST_WINDOWS:
        why = (
            f"{len(base)} one-second windows before the injection, {LEAST_WINDOWS} are needed to compare with"
        )
        return Impact(fault.name, evidence.activity, why, len(base))
    begin_s = fault.over_s
    if begin_s is None:
        return Impact(fault.name, evidence.activity, "the fault was never seen reverted", len(base))
    bands = bands_of(evidence, base, slos)
    crowd = (
        max((evidence.in_flight.get(row.second, 0) for row in base), default=0)
        if evidence.in_flight
        else None
    )
    recovered_s = _recovered(evidence, bands, begin_s=begin_s, crowd=crowd)
    recovery_s = None if recovered_s is None else max(0.0, recovered_s - begin_s)
    known = replace(fault, recovered_s=recovered_s)
    spoilt = fault_seconds(known, end_s=evidence.duration_s)
    began_s = first_injected_s(evidence, fault)
    # requests of the last second or so were in flight when the fault came, and felt it
    calm = [row for row in base if row.second + 1 <= began_s - guard_s(evidence, fault)] or base
    return Impact(
        fault=fault.name,
        activity=evidence.activity,
        inconclusive="",
        baseline_windows=len(base),
        signals=(
            *(_impact(evidence, signal, base=calm, spoilt=spoilt) for signal in signals_of(base)),
            *_goodput_impact(evidence, slos, base=calm, spoilt=spoilt),
        ),
        in_flight_before=crowd,
        in_flight_highest=max((n for s, n in evidence.in_flight.items() if s in spoilt), default=None),
        detected_s=_detected(evidence, bands, fault=fault, until_s=recovered_s),
        recovered_s=None if recovery_s is None else begin_s + recovery_s,
        recovery_s=recovery_s,
        had_s=max(0.0, evidence.duration_s - begin_s),
        attempts_before=_attempts(evidence, {row.second for row in calm}),
        attempts_during=_attempts(evidence, spoilt),
        attempts_highest=max(
            (each for second in spoilt if (each := _attempts(evidence, {second})) is not None), default=None
        ),
    )


def with_recovery(evidence: Evidence, slos: Sequence[Expression]) -> Evidence:
    """The same evidence with each fault's `recovered_s` filled in, in the order of their injections.

    A later fault's baseline leaves out the seconds of the earlier ones. One that was done on several hosts is
    over when the last of them is.
    """
    ordered = sorted(evidence.faults, key=lambda one: one.injected_s)
    for which in dict.fromkeys((one.name, one.step) for one in ordered):
        whole = joined([one for one in ordered if (one.name, one.step) == which])
        recovered_s = assess(evidence, whole, slos).recovered_s
        evidence = replace(
            evidence,
            faults=tuple(
                replace(one, recovered_s=recovered_s) if (one.name, one.step) == which else one
                for one in evidence.faults
            ),
        )
    return evidence


def windows_less_delay(evidence: Evidence, fault: FaultSpan) -> Evidence:
    """The same evidence with the generator's own delay taken off the windows that follow the fault.

    Of each second at most: the largest delay that one of its requests had. METRICS.md section 3.
    """
    begin_s = fault.over_s
    if begin_s is None:
        return evidence
    rows = tuple(row if row.second < int(begin_s) else _less_delay(row) for row in evidence.seconds)
    return replace(evidence, groups={**evidence.groups, JUDGED: rows})


def _attempts(evidence: Evidence, seconds: Collection[int]) -> float | None:
    """Tries per request of those that were intended in these seconds."""
    rows = [row for second, row in evidence.tries.items() if second in seconds]
    requests = sum(sum(row.values()) for row in rows)
    tries = sum(number * count for row in rows for number, count in row.items())
    return tries / requests if requests else None


def _less_delay(row: Second) -> Second:
    delay_s = row.sums[OWN_DELAY].max if OWN_DELAY in row.sums else 0.0
    times = {
        series: {q: max(value - delay_s, 0.0) for q, value in quantiles.items()}
        for series, quantiles in row.quantiles.items()
    }
    return replace(row, quantiles=times)


def _rows(evidence: Evidence) -> list[Second]:
    """The judged span's windows in order of time; a second without requests is no window."""
    return sorted((row for row in evidence.seconds if row.counted), key=lambda row: row.second)


def _impact(
    evidence: Evidence, signal: Signal, *, base: Sequence[Second], spoilt: frozenset[int]
) -> SignalImpact:
    during = [row for row in _rows(evidence) if row.second in spoilt]
    return _compared(signal, _readings(evidence, signal, base), _readings(evidence, signal, during))


def _goodput_impact(
    evidence: Evidence, slos: Sequence[Expression], *, base: Sequence[Second], spoilt: frozenset[int]
) -> Iterator[SignalImpact]:
    """The share of requests within every limit of the first objective that names some."""
    bodies = (one.body for one in slos if not one.suffixes.tag and not one.suffixes.during)
    named = (one.value for one in bodies if isinstance(one, Comparison) and isinstance(one.value, Goodput))
    wanted = next(named, None)
    if wanted is None:
        return
    bound = goodput_bound(wanted).id

    def met(rows: Iterable[Second]) -> list[float]:
        counts = [row.bounds[bound] for row in rows if bound in row.bounds and row.bounds[bound].n]
        return [1 - one.over / one.n for one in counts]

    before = met(base)
    if before:
        yield _compared("goodput", before, met(row for row in _rows(evidence) if row.second in spoilt))


def _compared(
    signal: Signal | Literal["goodput"], before: Sequence[float], after: Sequence[float]
) -> SignalImpact:
    return SignalImpact(
        signal=signal,
        baseline=sum(before) / len(before),
        fault=sum(after) / len(after) if after else None,
        change=difference(before, after),
    )


def _readings(evidence: Evidence, signal: Signal, rows: Iterable[Second]) -> list[float]:
    found = (reading(evidence, signal, row) for row in rows)
    return [value for value in found if value is not None]


def _detected(
    evidence: Evidence, bands: Sequence[Band], *, fault: FaultSpan, until_s: float | None
) -> float | None:
    """Start of the first window outside, from the injection until the traffic was back; None where none was.

    `until_s` is None where it never was back. What is outside later is not the fault's doing.
    """
    for row in _rows(evidence):
        if row.second < int(fault.injected_s) or (until_s is not None and row.second >= until_s):
            continue
        if any(is_outside(evidence, band, row) for band in bands):
            return max(float(row.second), fault.injected_s)
    return None


def _recovered(
    evidence: Evidence, bands: Sequence[Band], *, begin_s: float, crowd: int | None
) -> float | None:
    """Start of the first 5 consecutive windows back in the band, with no more in flight than before.

    Windows without requests are passed over. The crowd is looked at where the five begin: it may not be
    larger than the baseline's.
    """
    run: list[int] = []
    for row in _rows(evidence):
        if row.second < int(begin_s):
            continue
        crowded = not run and crowd is not None and evidence.in_flight.get(row.second, 0) > crowd
        if crowded or any(is_outside(evidence, band, row) for band in bands):
            run = []
            continue
        run.append(row.second)
        if len(run) == BACK_FOR:
            return float(run[0])
    return None
