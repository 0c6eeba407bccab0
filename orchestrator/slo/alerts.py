"""What alerts did, held against what is expected of them: METRICS.md section 5, `alert`.

An alert that fires is one whose rule has waited out its `for`: pending is not firing. Fires within: from the
injection to its firing, plus one interval of its rule, by which it may have been seen late. Resolves within:
from the revert, of one-shot faults from the injection. Never fires: from the injection to the next fault, or
to the end; on a load over its judged span. What fires once the next fault has come is no witness of this one.
"""

from dataclasses import replace

from orchestrator.slo.evidence import Evidence, FaultSpan
from orchestrator.slo.expressions import Alert
from orchestrator.slo.fault_spans import seconds_between
from orchestrator.slo.findings import Finding
from orchestrator.slo.validity import MOST_GAP
from orchestrator.slo.watched import AlertLog, Firing
from orchestrator.slo.words import percent, seconds


def judge_alert(body: Alert, evidence: Evidence, *, fault: str | None) -> Finding:
    """The finding of one expectation of an alert; `fault`: of which chaos activity, None for an objective."""
    log = evidence.watched.alerts.get(body.name)
    span = evidence.fault(fault) if fault is not None else None
    if fault is not None:
        why = _no_fault(fault, span)
        if why:
            return Finding("invalid", why)
    if log is None or not log.seconds:
        said = (log.why if log is not None else "") or evidence.watched.why or "nobody watched it"
        return Finding("invalid", f"the monitor was not read: {said}")
    if body.event == "never_fires":
        return _never(body, log, evidence, span=span)
    assert span is not None  # noqa: S101  # only `expect` has the other two
    assert body.within_s is not None  # noqa: S101  # they say within what
    already = next((one for one in log.firings if one.is_on(span.injected_s - _doubt_s(one, span))), None)
    if already is not None:
        since = seconds(span.injected_s - already.fired_s)
        why = f"it was firing at the injection already, since {since} before"
        return Finding("inconclusive", why, samples=len(log.seconds))
    judged = _fires if body.event == "fires" else _resolves
    found = judged(body, log, span, within_s=body.within_s, next_s=next_fault_s(evidence, span))
    return replace(found, samples=len(log.seconds))


def next_fault_s(evidence: Evidence, span: FaultSpan) -> float:
    """When the first fault of another activity comes after this one is over; else the end of the phase.

    A one-shot fault is over when the traffic had recovered from it: what comes before is beside it.
    """
    over_s = span.recovered_s if span.one_shot and span.recovered_s is not None else span.over_s
    over_s = span.injected_s if over_s is None else over_s
    later = (one.injected_s for one in evidence.faults if one.name != span.name and one.injected_s >= over_s)
    return min(later, default=evidence.duration_s)


def _fires(_: Alert, log: AlertLog, span: FaultSpan, *, within_s: float, next_s: float) -> Finding:
    fired = next((one for one in log.firings if one.fired_s > span.injected_s - _doubt_s(one, span)), None)
    if fired is None:
        return _silent(log, span, since_s=span.injected_s, within_s=within_s)
    took_s = fired.fired_s - span.injected_s + fired.every_s
    doubt_s = _doubt_s(fired, span)
    if abs(fired.fired_s - span.injected_s) < doubt_s:
        why = f"it fired with the injection, and the clocks agree only to within {seconds(doubt_s)}"
        return Finding("invalid", why, observed=took_s)
    parts = f"it fired {seconds(max(0.0, fired.fired_s - span.injected_s))} after the injection"
    parts += f", seen to within the {seconds(fired.every_s)} between evaluations" if fired.every_s else ""
    if fired.fired_s >= next_s and next_s - span.injected_s < within_s:
        why = f"{parts}, when the next fault had come; without it nobody knows whether it would have fired"
        return Finding("inconclusive", why, observed=took_s)
    return _held(took_s, within_s, doubt_s=doubt_s, why=f"{parts}; {seconds(within_s)} are allowed")


def _resolves(body: Alert, log: AlertLog, span: FaultSpan, *, within_s: float, next_s: float) -> Finding:
    since = "injection" if span.one_shot else "revert"
    if span.over_s is None:
        return Finding("invalid", "the fault was never seen reverted")
    until_s = min(span.over_s + within_s, next_s)
    mine = [one for one in log.firings if span.injected_s - _doubt_s(one, span) < one.fired_s <= until_s]
    if not mine:
        return Finding("inconclusive", f"{body.name} did not fire, so there was nothing to resolve")
    last = mine[-1]
    if last.ended_s is None:
        had_s = _watched_s(log, span.over_s)
        why = f"it still fired {seconds(had_s)} after the {since}, when it was last looked at"
        return Finding("fail" if had_s >= within_s else "inconclusive", why, observed=had_s)
    took_s = max(0.0, last.ended_s - span.over_s)
    why = f"it resolved {seconds(took_s)} after the {since}; {seconds(within_s)} are allowed"
    return _held(took_s, within_s, doubt_s=_doubt_s(last, span), why=why)


def _never(body: Alert, log: AlertLog, evidence: Evidence, *, span: FaultSpan | None) -> Finding:
    from_s, to_s = evidence.warmup_s, evidence.duration_s
    if span is not None:
        from_s, to_s = span.injected_s, next_fault_s(evidence, span)
    looked = len(log.seconds)
    if log.absent:
        return Finding(
            "inconclusive", f"the monitor has no rule {body.name}, so it could not fire", samples=looked
        )
    why = _gap(log, from_s, to_s)
    on = [one for one in log.firings if one.is_on(from_s) or from_s < one.fired_s < to_s]
    if not on:
        since = "the injection" if span is not None else "the start"
        said = f"it did not fire in the {seconds(to_s - from_s)} from {since} on"
        return Finding("invalid" if why else "pass", why or said, observed=0.0, samples=looked)
    first = on[0]
    if span is not None and first.is_on(from_s - _doubt_s(first, span)):
        why = f"it was firing at the injection already, since {seconds(from_s - first.fired_s)} before"
        return Finding("inconclusive", why, samples=looked)
    at_s = first.fired_s - from_s
    when = f"{seconds(at_s)} after {'the injection' if span else 'the judged span began'}"
    said = f"it fired {when}" if at_s > 0 else "it was firing when the judged span began"
    doubt_s = first.uncertainty_s + (span.uncertainty_s if span is not None else 0.0)
    if at_s > 0 and min(at_s, to_s - first.fired_s) < doubt_s:
        return Finding(
            "invalid", f"{said}; but the clocks agree only to within {seconds(doubt_s)}", samples=looked
        )
    return Finding("fail", said, observed=float(len(on)), samples=looked)


def _silent(log: AlertLog, span: FaultSpan, *, since_s: float, within_s: float) -> Finding:
    """Of an alert that did not fire: a fail where it was watched for long enough."""
    if log.absent:
        return Finding("fail", "it cannot fire: the monitor has no rule of this name")
    had_s = _watched_s(log, since_s)
    gap = _gap(log, since_s, since_s + min(within_s, had_s))
    if gap:
        return Finding("invalid", gap)
    pending = ""
    if log.pending_s is not None:
        at = seconds(max(0.0, log.pending_s - span.injected_s))
        pending = (
            f"; it was pending from {at} after the injection on, and its rule waits for {seconds(log.for_s)}"
        )
    if had_s < within_s:
        why = f"it did not fire in the {seconds(had_s)} that it was watched after the injection{pending}"
        return Finding("inconclusive", f"{why}; {seconds(within_s)} are allowed")
    return Finding("fail", f"it did not fire within {seconds(within_s)} of the injection{pending}")


def _held(took_s: float, within_s: float, *, doubt_s: float, why: str) -> Finding:
    if abs(took_s - within_s) < doubt_s:
        why = f"{why}; but the clocks agree only to within {seconds(doubt_s)}"
        return Finding("invalid", why, observed=took_s)
    return Finding("pass" if took_s <= within_s else "fail", why, observed=took_s)


def _no_fault(fault: str, span: FaultSpan | None) -> str:
    if span is None:
        return f"the fault {fault} was never injected"
    return f"the fault {fault} {span.without_effect}" if span.without_effect else ""


def _doubt_s(firing: Firing, span: FaultSpan) -> float:
    """How far two machines' clocks may be apart: that of the fault's worker, and of the monitor as read."""
    return firing.uncertainty_s + span.uncertainty_s


def _watched_s(log: AlertLog, since_s: float) -> float:
    """For how long after a moment the monitor was last seen to answer."""
    return max(0.0, max(log.seconds, default=0) + 1 - since_s)


def _gap(log: AlertLog, from_s: float, to_s: float) -> str:
    """Why too little was seen of a span; "" where enough was."""
    wanted = seconds_between(from_s, to_s)
    missing = len(wanted - log.seconds)
    if not wanted or missing <= MOST_GAP * len(wanted):
        return ""
    share = percent(missing / len(wanted))
    until_s = max(log.seconds, default=0) + 1
    early = f"it was read until {seconds(until_s)} after the phase's start" if until_s < to_s else ""
    said = log.why or early or "it did not answer"
    return f"the monitor was not read in {share} of the time ({said}); {percent(MOST_GAP)} are allowed"
