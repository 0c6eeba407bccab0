"""When the test, not the target, is to blame. METRICS.md section 3."""

from collections.abc import Iterable
from dataclasses import replace

from orchestrator.slo.evidence import Evidence, FaultSpan, Validity
from orchestrator.slo.findings import Finding
from orchestrator.slo.words import percent, seconds

START_SKEW_NOTED_S = 0.05
BUSY_SHARE = 0.9
"""Of one core: an engine is one thread, and beyond it waits for itself."""
MOST_GAP = 0.1
MOST_WHYS = 3
"""Of the reasons for gaps in one sentence; the report lists each gap."""
BENT_BOTH_WAYS = frozenset({"itl", "tpot", "ttft_sent", "service_time"})
"""Series that a busy generator can make better as well as worse. The others it can only make worse."""


def invalid_reasons(evidence: Evidence, validity: Validity) -> tuple[str, ...]:
    """Why nothing that was measured of this activity may be claimed; empty where it may.

    Shares and times are held against the campaign's `validity`.
    """
    if evidence.ended_early:  # what it did not send follows from that, and is nobody's fault
        return (f"ended before its time: {evidence.ended_early}",)
    reasons: list[str] = []
    if evidence.achieved < validity.achieved:
        reasons.append(
            f"the generator sent {percent(evidence.achieved)} of what was offered, "
            f"at least {percent(validity.achieved)} is needed"
        )
    if evidence.coverage < validity.coverage:
        reasons.append(
            f"{percent(evidence.coverage)} of the scheduled arrivals were sent and observed "
            f"({evidence.unsent_generator:,} unsent by the generator, {evidence.unknown:,} unknown), "
            f"at least {percent(validity.coverage)} is needed{_because(evidence.lost_to)}"
        )
    if evidence.start_skew_s is not None and evidence.start_skew_s > validity.start_skew:
        reasons.append(
            f"the phase's shards started {seconds(evidence.start_skew_s)} apart, "
            f"at most {seconds(validity.start_skew)} may be"
        )
    return tuple(reasons)


def _because(whys: tuple[str, ...]) -> str:
    """The reasons of gaps at the end of a sentence, the first few of them."""
    shown = "; ".join(whys[:MOST_WHYS])
    rest = f"; and {len(whys) - MOST_WHYS} more" if len(whys) > MOST_WHYS else ""
    return f": {shown}{rest}" if shown else ""


def invalid_fault_reasons(fault: FaultSpan) -> tuple[str, ...]:
    """Why nothing may be claimed of a chaos activity; empty where it may."""
    reasons: list[str] = []
    if fault.without_effect:
        reasons.append(f"the fault {fault.without_effect}")
    if not fault.one_shot and fault.reverted_s is None:
        reasons.append("the fault was never seen reverted")
    if fault.residue:
        reasons.append(f"the fault left something behind: {fault.residue}")
    return tuple(reasons)


def lateness(evidence: Evidence, validity: Validity) -> str:
    """In words, by how much the generator's lag or hub delay is above its limit; empty where it is not."""
    measured = (("lag", evidence.lag_p99_s), ("hub delay", evidence.hub_delay_p99_s))
    above = [
        f"{name} p99 {seconds(value_s)}"
        for name, value_s in measured
        if value_s and value_s > validity.lag_p99
    ]
    return (
        f"the generator was late ({', '.join(above)}; at most {seconds(validity.lag_p99)})" if above else ""
    )


def cautions(evidence: Evidence, validity: Validity) -> tuple[str, ...]:
    """What about the generator itself should make a reader look twice, though it decides nothing."""
    said = [lateness(evidence, validity)]
    skew_s = evidence.start_skew_s
    if skew_s is not None and START_SKEW_NOTED_S <= skew_s <= validity.start_skew:
        said.append(f"the phase's shards started {seconds(skew_s)} apart")
    if evidence.busy_share is not None and evidence.busy_share >= BUSY_SHARE:
        said.append(
            f"an engine used {percent(evidence.busy_share)} of a core in its busiest second: "
            "split the load into more shards"
        )
    return tuple(filter(None, said))


def series_gap(series: str, *, missing: int, of: int) -> str:
    """Why a series of readings that an SLO needs cannot carry it; empty where it can. METRICS.md 3."""
    if not of or missing / of <= MOST_GAP:
        return ""
    return (
        f"{series} has no reading in {missing:,} of {of:,} seconds ({percent(missing / of)}); "
        f"at most {percent(MOST_GAP)} may be missing"
    )


def weigh(finding: Finding, *, series: Iterable[str], less_delay: Finding | None, late: str) -> Finding:
    """A finding after the generator's own delay is considered.

    `series` are the request-series that it rests on, empty for success and errors. `less_delay` is the
    finding with the generator's delay taken off, None where there is no such count. `late` is `lateness`. A
    fail that would not be one without the delay is invalid. A pass of what a late generator can bend either
    way is inconclusive; other passes stand, with a note.
    """
    names = frozenset(series)
    if finding.verdict == "fail" and less_delay is not None and less_delay.verdict != "fail":
        why = f"{finding.why}; but without the generator's own delay it would not fail ({less_delay.why})"
        return replace(finding, verdict="invalid", why=why)
    if finding.verdict != "pass" or not late:
        return finding
    if not names or names & BENT_BOTH_WAYS:
        why = f"{finding.why}; but {late}, which can hide a fail"
        return replace(finding, verdict="inconclusive", why=why)
    return replace(finding, why=f"{finding.why}, although {late} and these times include that")
