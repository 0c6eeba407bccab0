"""What part of an activity an expression is judged over: its suffixes, turned into rows.

METRICS.md section 5, "Which time a request belongs to".
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from orchestrator.slo.evidence import Evidence, Second, Verdict
from orchestrator.slo.expressions import Suffixes
from orchestrator.slo.fault_spans import disturbed_seconds, fault_seconds, judged_seconds, seconds_between
from orchestrator.slo.words import seconds as in_words
from workers.contract.snapshot import JUDGED

PLACES_OF_WINDOWS = "between {} and {}"


@dataclass(frozen=True, slots=True)
class Span:
    """Rows that are judged together.

    `label` is empty for all that the suffixes leave, else says which window. `whole`: seconds of planned
    faults, counted whole (METRICS.md 4). `length_s`: how long the span is. `group` is where the rows come
    from.
    """

    rows: tuple[Second, ...]
    seconds: frozenset[int]
    length_s: float
    whole: frozenset[int] = frozenset()
    group: str = JUDGED
    label: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing can be judged, and why."""

    verdict: Verdict
    why: str


def select(suffixes: Suffixes, evidence: Evidence, *, fault: str | None = None) -> tuple[Span, ...] | Refusal:
    """The spans that the suffixes ask for: one, or one a window of `over W`.

    `fault` names the chaos activity whose span stands where no suffix says otherwise (`expect`). Refuses
    where a fault was never injected or had no effect, where no row has the tag, and where nothing is left.
    """
    seconds = _seconds(suffixes, evidence, fault=fault)
    if isinstance(seconds, Refusal):
        return seconds
    group = _group(suffixes, evidence)
    if suffixes.tag and group not in evidence.groups:
        return Refusal("inconclusive", f"no request has the tag {group}")
    of_fault = (suffixes.during or fault) is not None and suffixes.during not in evidence.stages
    whole = frozenset() if of_fault or suffixes.outside_faults else disturbed_seconds(evidence) & seconds
    rows = tuple(row for row in evidence.groups.get(group, ()) if row.second in seconds)
    span = Span(
        rows=tuple(sorted(rows, key=lambda row: row.second)),
        seconds=seconds,
        length_s=_length_s(seconds, evidence),
        whole=whole,
        group=group,
    )
    if span.length_s == 0:
        return Refusal("inconclusive", "nothing is left of the judged span")
    return tuple(_windows(span, evidence, window_s=suffixes.over_s[0])) if suffixes.over_s else (span,)


def _seconds(suffixes: Suffixes, evidence: Evidence, *, fault: str | None) -> frozenset[int] | Refusal:
    judged = judged_seconds(evidence)
    if suffixes.outside_faults:
        return judged - disturbed_seconds(evidence)
    name = suffixes.during or fault
    if name is None:
        return judged
    if name in evidence.stages:
        return judged & seconds_between(*evidence.stages[name])
    found = evidence.fault(name)
    if found is None:
        return Refusal("invalid", f"the fault {name} was never injected")
    if found.without_effect:
        return Refusal("invalid", f"the fault {name} {found.without_effect}")
    return judged & fault_seconds(found, end_s=evidence.duration_s)


def _group(suffixes: Suffixes, evidence: Evidence) -> str:
    if suffixes.tag:
        return "{}={}".format(*suffixes.tag)
    stage = f"stage={suffixes.during}"
    return stage if stage in evidence.groups else JUDGED


def _windows(span: Span, evidence: Evidence, *, window_s: float) -> Iterator[Span]:
    """Consecutive windows from the span's start; a rest shorter than half a window joins the one before."""
    begin_s = max(float(min(span.seconds)), evidence.warmup_s)
    end_s = min(float(max(span.seconds) + 1), evidence.duration_s)
    number = max(1, int((end_s - begin_s) / window_s + 0.5 + 1e-9))
    members: list[set[int]] = [set() for _ in range(number)]
    for second in span.seconds:
        place = int((max(second, begin_s) - begin_s) / window_s + 1e-9)
        members[min(place, number - 1)].add(second)
    for place, chosen in enumerate(members):
        if chosen:
            last_s = end_s if place == number - 1 else begin_s + (place + 1) * window_s
            label = PLACES_OF_WINDOWS.format(in_words(begin_s + place * window_s), in_words(last_s))
            yield narrowed(span, evidence, seconds=frozenset(chosen), label=label)


def narrowed(span: Span, evidence: Evidence, *, seconds: frozenset[int], label: str) -> Span:
    """The part of a span that falls in `seconds`."""
    return replace(
        span,
        rows=tuple(row for row in span.rows if row.second in seconds),
        seconds=seconds,
        length_s=_length_s(seconds, evidence),
        whole=span.whole & seconds,
        label=label,
    )


def _length_s(seconds: frozenset[int], evidence: Evidence) -> float:
    """Seconds at the edges of the judged span count for the part that lies inside it."""
    total = float(len(seconds))
    first, last = int(evidence.warmup_s), int(evidence.duration_s)
    if first in seconds:
        total -= evidence.warmup_s - first
    if last in seconds:
        total -= 1 - (evidence.duration_s - last)
    return total
