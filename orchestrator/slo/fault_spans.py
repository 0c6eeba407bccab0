"""Which seconds of an activity a fault touches, and which ones it is to be compared with.

METRICS.md sections 5 and 9. All spans are sets of whole seconds on the phase's clock, widened by the clocks'
uncertainty.
"""

from math import ceil, floor

from orchestrator.slo.evidence import Evidence, FaultSpan

BASELINE_S = 30
"""How far before an injection the matched baseline reaches."""

LEAST_GUARD_S = 1
"""Requests of at least this long before an injection were in flight when it came."""


def judged_seconds(evidence: Evidence) -> frozenset[int]:
    """The seconds of the judged span, [warmup, duration)."""
    return seconds_between(evidence.warmup_s, evidence.duration_s)


def seconds_between(from_s: float, to_s: float) -> frozenset[int]:
    """The whole seconds that overlap [from, to); at least the one in which it begins."""
    if to_s < from_s:
        return frozenset()
    first = floor(from_s)
    return frozenset(range(first, max(ceil(to_s), first + 1)))


def fault_seconds(fault: FaultSpan, *, end_s: float) -> frozenset[int]:
    """Seconds that overlap [injected, reverted]; of a one-shot fault [injected, recovered].

    A fault that never ended reaches to `end_s`.
    """
    ended_s = fault.recovered_s if fault.one_shot else fault.reverted_s
    return _widened(fault, from_s=fault.injected_s, to_s=end_s if ended_s is None else ended_s)


def disturbed_seconds(evidence: Evidence) -> frozenset[int]:
    """What `outside faults` leaves out: for each fault the seconds from injection - g to its recovery.

    A fault without recovery reaches to the activity's end.
    """
    out: set[int] = set()
    for fault in evidence.faults:
        to_s = evidence.duration_s if fault.recovered_s is None else fault.recovered_s
        if fault.reverted_s is not None:
            to_s = max(to_s, fault.reverted_s)
        out |= _widened(fault, from_s=fault.injected_s - guard_s(evidence, fault), to_s=to_s)
    return frozenset(out)


def baseline_seconds(evidence: Evidence, fault: FaultSpan) -> frozenset[int]:
    """The 30 s before the injection, without the warm-up and without the seconds of other faults.

    Of several faults in one activity: before the first of them, so that all are held against the same calm.
    """
    began_s = first_injected_s(evidence, fault)
    end = floor(began_s - fault.uncertainty_s)
    window = frozenset(range(end - BASELINE_S, end)) & judged_seconds(evidence)
    # A warm-up that ends inside a second leaves that second's row short of requests.
    window = frozenset(second for second in window if second >= evidence.warmup_s)
    for other in evidence.faults:
        if other.name == fault.name or other.injected_s >= began_s:
            continue
        ends_s = [at for at in (other.reverted_s, other.recovered_s) if at is not None]
        to_s = max(ends_s) if other.recovered_s is not None else evidence.duration_s
        window -= _widened(other, from_s=other.injected_s, to_s=to_s)
    return window


def guard_s(evidence: Evidence, fault: FaultSpan) -> int:
    """The largest service_time of the matched baseline, up to the next second, at least 1 s.

    Seconds whose slowest request may still have run when the fault came do not count: it is the fault that
    made them slow.
    """
    baseline = baseline_seconds(evidence, fault)
    began_s = first_injected_s(evidence, fault)
    longest = LEAST_GUARD_S
    for row in evidence.seconds:
        times = row.sums.get("service_time")
        if row.second in baseline and times and times.count:
            ended_s = row.second + 1 + times.max
            longest = max(longest, ceil(times.max)) if ended_s <= began_s else longest
    return longest


def first_injected_s(evidence: Evidence, fault: FaultSpan) -> float:
    """When the first fault of the same activity was injected, on whichever host."""
    fellows = (other.injected_s for other in evidence.faults if other.name == fault.name)
    return min(fellows, default=fault.injected_s)


def _widened(fault: FaultSpan, *, from_s: float, to_s: float) -> frozenset[int]:
    return seconds_between(from_s - fault.uncertainty_s, to_s + fault.uncertainty_s)
