"""Claims about what is counted or measured whole: compared as it is, never inconclusive for want of n.

METRICS.md section 5, the rows marked C.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from orchestrator.slo.evidence import Evidence, Second
from orchestrator.slo.expressions import Comparison, Outcomes
from orchestrator.slo.fault_spans import judged_seconds
from orchestrator.slo.findings import Finding, compared
from orchestrator.slo.spans import Span
from orchestrator.slo.words import count, value_text
from workers.contract.snapshot import ABANDONED, JUDGED, UNSENT_GENERATOR

JOULES_PER_KWH = 3.6e6
ENERGY = "energy_j"
"""Key of `Evidence.values`: energy of the judged span in joules, idle included."""

OK: Final = "ok"
INVALID: Final = "invalid"
_UNSEEN = frozenset({UNSENT_GENERATOR, ABANDONED})
_LISTED = 3


def judge_scalar(comparison: Comparison, name: str, span: Span, evidence: Evidence) -> Finding:
    """The finding of a name without brackets that needs no claim about a sample.

    What is measured elsewhere is looked up in `Evidence.values`; where it is absent the finding is
    invalid: an SLO needs it and it is not there.
    """
    if name in _BY_NAME:
        return _BY_NAME[name](comparison, span, evidence)
    return judge_measured(comparison, name, span, evidence)


def judge_measured(comparison: Comparison, key: str, span: Span, evidence: Evidence) -> Finding:
    """The finding of a value that something else measured over the whole activity (`Evidence.values`)."""
    value = evidence.values.get(key)
    if value is None:
        return Finding("invalid", f"{key} is asked for and was not measured")
    if not _is_whole(span, evidence):
        return Finding("invalid", f"{key} was measured over the whole activity only")
    lower, upper = evidence.values.get(f"{key}.lower"), evidence.values.get(f"{key}.upper")
    finding = compared(comparison, value, what=key)
    if lower is None or upper is None or not lower <= comparison.bound <= upper:
        return finding
    why = f"{finding.why}, but the bound lies inside its interval ({lower:.4g} to {upper:.4g})"
    return Finding("inconclusive", why, observed=value)


def judge_outcomes(outcomes: Outcomes, span: Span, *, missed: Iterable[Second] = ()) -> Finding:
    """The finding of `never(...)` and `always(...)`: a census of every answered or failed request.

    What the generator itself did not send is not looked at; what waited too long for the target is `unsent`.
    An answer that came well, and is not what its golden case expects, is `invalid`; `missed` (missed_in).
    """
    total = _ended(span.rows)
    wrong = _ended(missed).get(OK, 0)
    if wrong:
        total |= {OK: total[OK] - wrong, INVALID: total.get(INVALID, 0) + wrong}
    seen = sum(total.values())
    named = {name: n for name, n in total.items() if any(matches(name, wanted) for wanted in outcomes.names)}
    broken = {name: n for name, n in total.items() if (name in named) != outcomes.always}
    listed = ", ".join(
        f"{n:,} × {name}" for name, n in sorted(broken.items(), key=lambda pair: -pair[1])[:_LISTED]
    )
    wanted_text = " or ".join(outcomes.names)
    observed = float(sum(broken.values()))
    if seen == 0:
        return Finding("inconclusive", "no request was answered or failed")
    ended = f"of {count(seen, 'request')}"
    if outcomes.always:
        why = (
            f"{ended} all ended {wanted_text}"
            if not broken
            else f"{ended} not all ended {wanted_text}: {listed}"
        )
    else:
        why = f"{ended} none ended {wanted_text}" if not broken else f"{ended} some ended so: {listed}"
    if wrong and INVALID in broken:
        why += f" ({wrong:,} of them answered with success, and not as the golden case expects)"
    return Finding("fail" if broken else "pass", why, observed=observed, samples=seen)


def missed_in(span: Span, evidence: Evidence) -> list[Second]:
    """Of the requests of a span those that were not answered as their golden case expects."""
    return [row for row in evidence.missed.get(span.group, ()) if row.second in span.seconds]


def _ended(rows: Iterable[Second]) -> dict[str, int]:
    """Requests that were answered or failed, by outcome."""
    total: dict[str, int] = {}
    for row in rows:
        for name, number in row.outcomes.items():
            if name not in _UNSEEN and number:
                total[name] = total.get(name, 0) + number
    return total


def matches(outcome: str, name: str) -> bool:
    """Whether a counted outcome is one that an expression names: `http_503` is `http_5xx`, too."""
    if name == "unsent":
        return outcome == "unsent_target"
    if name.endswith("xx") and name.startswith("http_"):
        return len(outcome) == len(name) and outcome.startswith(name[:-2])
    return outcome == name


def sent_per_s(span: Span) -> float:
    """Requests sent per second of the span."""
    return sum(row.sent for row in span.rows) / span.length_s


def ok_per_s(span: Span) -> float:
    """Requests answered well per second of the span."""
    return sum(row.ok for row in span.rows) / span.length_s


def _rate(comparison: Comparison, span: Span, _: Evidence) -> Finding:
    return compared(comparison, sent_per_s(span), what="the rate", samples=sum(row.sent for row in span.rows))


def _throughput(comparison: Comparison, span: Span, _: Evidence) -> Finding:
    samples = sum(row.counted for row in span.rows)
    return compared(comparison, ok_per_s(span), what="the throughput", samples=samples)


def _tokens(comparison: Comparison, span: Span, _: Evidence) -> Finding:
    absent = sum(row.tokens_absent for row in span.rows)
    ok = sum(row.ok for row in span.rows)
    if absent:
        why = f"{count(absent, 'ok request')} of {ok:,} said nothing about their output tokens"
        return Finding("inconclusive", why, samples=ok)
    tokens = sum(row.ok_tokens for row in span.rows)
    return compared(comparison, tokens / span.length_s, what="output tokens a second", samples=ok)


def _cases(comparison: Comparison, span: Span, evidence: Evidence, *, part: str) -> Finding:
    counts = evidence.cases.get(span.group, evidence.regression if span.group == JUDGED else None)
    if counts is None or counts.judged == 0:
        return Finding("inconclusive", "no case was judged")
    met = {"pass_rate": counts.passed, "agreement": counts.agreed}[part]
    if met is None:
        return Finding("invalid", "agreement needs a baseline, and none was asked")
    if span.seconds != judged_seconds(evidence):
        return _tries(comparison, span, evidence, part=part)
    said = {"pass_rate": "passed", "agreement": "agreed with the baseline"}[part]
    what = f"{met:,} of {count(counts.judged, 'case')} {said}: {part}"
    return compared(comparison, met / counts.judged, what=what, samples=counts.judged)


def _tries(comparison: Comparison, span: Span, evidence: Evidence, *, part: str) -> Finding:
    """A part of the time holds tries at cases, each judged by itself: a case has as many as its `repeats`."""
    if part != "pass_rate":
        return Finding("invalid", f"{part} is known of whole cases; leave out what chooses seconds of them")
    tries = sum(_ended(span.rows).values())
    if tries == 0:
        return Finding("inconclusive", "no case was asked then")
    passed = tries - sum(_ended(missed_in(span, evidence)).values())
    what = f"{passed:,} of {tries:,} tries at cases passed: {part}"
    return compared(comparison, passed / tries, what=what, samples=tries)


def _pass_rate(comparison: Comparison, span: Span, evidence: Evidence) -> Finding:
    return _cases(comparison, span, evidence, part="pass_rate")


def _agreement(comparison: Comparison, span: Span, evidence: Evidence) -> Finding:
    return _cases(comparison, span, evidence, part="agreement")


def _cost(
    comparison: Comparison, span: Span, evidence: Evidence, *, work: Callable[[Second], int]
) -> Finding:
    prices, what = evidence.prices, value_text(comparison.value)
    if prices is None:
        return Finding("invalid", f"{what} needs `prices` in the campaign")
    energy_j = _energy_j(span, evidence)
    if prices.kwh and energy_j is None:
        return Finding("invalid", f"{what} needs the energy of this span, for `prices.kwh`")
    done = sum(work(row) for row in span.rows)
    if done == 0:
        return Finding("inconclusive", f"no work was done that {what} could be spread over")
    machines = prices.machine_hour * prices.machines * span.length_s / 3600
    energy = prices.kwh * (energy_j or 0.0) / JOULES_PER_KWH
    return compared(comparison, (machines + energy) / done * 1000, what=what, samples=done)


def _cost_of_requests(comparison: Comparison, span: Span, evidence: Evidence) -> Finding:
    return _cost(comparison, span, evidence, work=lambda row: row.ok)


def _cost_of_tokens(comparison: Comparison, span: Span, evidence: Evidence) -> Finding:
    absent = sum(row.tokens_absent for row in span.rows)
    if absent:
        return Finding(
            "inconclusive", f"{count(absent, 'ok request')} said nothing about their output tokens"
        )
    return _cost(comparison, span, evidence, work=lambda row: row.ok_tokens)


def _joules(
    comparison: Comparison, span: Span, evidence: Evidence, *, work: Callable[[Second], int]
) -> Finding:
    what = value_text(comparison.value)
    energy_j, done = _energy_j(span, evidence), sum(work(row) for row in span.rows)
    if energy_j is None:
        return Finding("invalid", f"{what} needs the energy of this span: a source in the phase")
    if done == 0:
        return Finding("inconclusive", f"no work was done that {what} could be spread over")
    return compared(comparison, energy_j / done, what=what, samples=done)


def _joules_of_requests(comparison: Comparison, span: Span, evidence: Evidence) -> Finding:
    return _joules(comparison, span, evidence, work=lambda row: row.ok)


def _joules_of_tokens(comparison: Comparison, span: Span, evidence: Evidence) -> Finding:
    return _joules(comparison, span, evidence, work=lambda row: row.ok_tokens)


def _energy_j(span: Span, evidence: Evidence) -> float | None:
    return evidence.values.get(ENERGY) if _is_whole(span, evidence) else None


def _is_whole(span: Span, evidence: Evidence) -> bool:
    return span.group == JUDGED and span.seconds == judged_seconds(evidence)


_BY_NAME: Mapping[str, Callable[[Comparison, Span, Evidence], Finding]] = {
    "rate": _rate,
    "throughput": _throughput,
    "tokens_per_s": _tokens,
    "pass_rate": _pass_rate,
    "agreement": _agreement,
    "cost_per_1k_requests": _cost_of_requests,
    "cost_per_1k_tokens": _cost_of_tokens,
    "joules_per_request": _joules_of_requests,
    "joules_per_token": _joules_of_tokens,
}
