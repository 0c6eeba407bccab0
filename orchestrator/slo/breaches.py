"""When an objective was broken while traffic ran: its breaches on the clock, each with its numbers. Pure.

A verdict is of the whole judged span; a breach is a stretch of it. It begins with a second whose own share
of requests over the bound is beyond what is allowed, and ends before the first five seconds in a row that
keep it, as a recovery does (METRICS.md section 9). It is told only where its share is beyond what is allowed
with the confidence of section 4, so that one slow request in a quiet second is none; and the generator's own
delay is taken off, so that none of it is blamed on the target.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.slo.evidence import Evidence, Second
from orchestrator.slo.expressions import Comparison, Expression, Goodput, Quantile, Scalar
from orchestrator.slo.fault_spans import disturbed_seconds
from orchestrator.slo.names import REQUEST_SERIES
from orchestrator.slo.sampled import ShareRule, share_rule
from orchestrator.slo.words import count, percent
from orchestrator.stats.quantile_bounds import Sample, claim
from workers.contract.bounds import BoundCount

BACK_FOR: Final = 5
"""So many consecutive seconds that keep the objective end a breach."""
Counted = tuple[Second, BoundCount]


@dataclass(frozen=True, slots=True)
class Breach:
    """One stretch in which an objective was broken; moments are seconds on the phase's clock.

    `ended_s`: None where it lasted until the activity's end. `why`: how many were over, and how many may be.
    """

    slo: str
    activity: str
    began_s: float
    ended_s: float | None
    why: str


def breaches(expression: Expression, evidence: Evidence) -> Iterator[Breach]:
    """Each breach of an objective on shares of requests (quantiles, goodput, success rate), in order of time.

    Of other forms, and of those for a tag or a span of their own, there is none to tell second by second.
    """
    rule = _rule(expression)
    if rule is None:
        return
    left_out = disturbed_seconds(evidence) if expression.suffixes.outside_faults else frozenset[int]()
    rows = sorted((row for row in evidence.seconds if row.second not in left_out), key=lambda row: row.second)
    counted = [(row, counts) for row in rows if (counts := rule.counts(row)).n]
    for first, last in _stretches(counted, rule):
        stretch = counted[first : last + 1]
        n, over = sum(one.n for _, one in stretch), sum(one.over_less_delay for _, one in stretch)
        if claim(Sample(n=n, over=over), quantile=rule.quantile) == "fail":
            most = 1 - rule.quantile
            seen = f"{percent(over / n, apart_from=most)} of {count(n, rule.noun)} were {rule.over}"
            yield Breach(
                slo=expression.text,
                activity=evidence.activity,
                began_s=_began_s(stretch[0][0].second, evidence),
                ended_s=float(stretch[-1][0].second + 1) if last + BACK_FOR < len(counted) else None,
                why=f"{seen}; at most {percent(most)} may be",
            )


def _began_s(second: int, evidence: Evidence) -> float:
    """The begin of a second; of one in which a fault came its injection, for that is what broke it."""
    came = [one.injected_s for one in evidence.faults if second <= one.injected_s < second + 1]
    return max(float(second), evidence.warmup_s, min(came, default=0.0))


def _rule(expression: Expression) -> ShareRule | None:
    body, suffixes = expression.body, expression.suffixes
    if not isinstance(body, Comparison) or suffixes.tag is not None or suffixes.during is not None:
        return None
    match body.value:
        case Goodput() | Scalar(name="success_rate"):
            return share_rule(body)
        case Quantile(series=series) if series in REQUEST_SERIES:
            return share_rule(body)
        case _:
            return None


def _stretches(counted: Sequence[Counted], rule: ShareRule) -> Iterator[tuple[int, int]]:
    """From the first to the last second of each that is beyond what is allowed, as places in `counted`."""
    bad = [
        place
        for place, (_, counts) in enumerate(counted)
        if counts.over_less_delay / counts.n > 1 - rule.quantile + 1e-9
    ]
    begins = [place for number, place in enumerate(bad) if not number or place - bad[number - 1] > BACK_FOR]
    ends = [
        place for number, place in enumerate(bad) if place == bad[-1] or bad[number + 1] - place > BACK_FOR
    ]
    yield from zip(begins, ends, strict=True)
