"""What is found in one span, before it becomes a judgement; and which of several findings counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isclose
from operator import ge, gt, le, lt

from orchestrator.slo.evidence import Verdict
from orchestrator.slo.expressions import Comparison, Operator
from orchestrator.slo.spans import Refusal
from orchestrator.slo.words import bound_text, percent, quantity

_SAME = 1e-12
"""Values this close (relative) are equal: 36 requests in 3.6 s are 10/s, whatever the last bit says."""

_COMPARE = {"<": lt, "<=": le, ">": gt, ">=": ge}

# Of several windows a valid fail decides; a doubt about the test comes before a want of data.
_WORST_FIRST: tuple[Verdict, ...] = ("fail", "invalid", "inconclusive", "pass")


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one span; `observed` in the bound's base unit, `effective` of the `samples`."""

    verdict: Verdict
    why: str
    observed: float | None = None
    samples: int = 0
    effective: float | None = None


def holds(value: float, op: Operator, bound: float) -> bool:
    """Whether `value op bound` is true, the last bits of a division apart."""
    if isclose(value, bound, rel_tol=_SAME):
        return op in {"<=", ">="}
    return bool(_COMPARE[op](value, bound))


def compared(comparison: Comparison, value: float, *, what: str, samples: int = 0) -> Finding:
    """The finding of a value that was counted or measured whole: it is compared as it is."""
    good = holds(value, comparison.op, comparison.bound)
    if comparison.unit == "fraction":
        observed = percent(value, apart_from=None if value == comparison.bound else comparison.bound)
    else:
        observed = quantity(value, comparison.unit)
    allowed = bound_text(comparison)
    why = f"{what} was {observed}; {allowed} is asked for"
    return Finding("pass" if good else "fail", why, observed=value, samples=samples)


def refused(refusal: Refusal) -> Finding:
    """The finding where nothing could be judged."""
    return Finding(refusal.verdict, refusal.why)


def worst(findings: Sequence[tuple[str, Finding]]) -> Finding:
    """The finding that decides over all windows: any fail, then any invalid, then any inconclusive.

    Takes (label of the window, finding). Samples are added up; the reason names the window. Of passes the one
    whose data is thinnest speaks.
    """
    if len(findings) == 1:
        label, only = findings[0]
        return replace(only, why=_labelled(label, only.why))
    label, decides = min(findings, key=lambda pair: (_WORST_FIRST.index(pair[1].verdict), pair[1].samples))
    alike = sum(1 for _, finding in findings if finding.verdict == decides.verdict)
    shares = [finding.effective for _, finding in findings if finding.effective is not None]
    why = f"{alike} of {len(findings)} windows {_SAID[decides.verdict]}; {_labelled(label, decides.why)}"
    return replace(
        decides,
        why=why,
        samples=sum(finding.samples for _, finding in findings),
        effective=sum(shares) if shares else None,
    )


_SAID: dict[Verdict, str] = {
    "pass": "pass",
    "fail": "fail",
    "invalid": "cannot be held against the target",
    "inconclusive": "have too little data for a claim",
}


def _labelled(label: str, why: str) -> str:
    return f"{label}: {why}" if label else why
