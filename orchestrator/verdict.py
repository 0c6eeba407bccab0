"""From judgements to the verdicts of activities, phases and the campaign, with reasons, and to exit codes.

Pure. DESIGN.md section 6.

Within an activity invalid comes before fail before inconclusive before pass. Over the campaign a valid fail
comes first, then invalid, inconclusive, pass. A fail is valid where nothing casts doubt on what it was judged
from: its own judgement is "fail" (one that the generator's delay made is "invalid" already), and the activity
that it was judged on is not invalid as a whole (coverage, achieved rate, start skew, a fault without effect).
So an activity with one valid fail and one invalid judgement is itself invalid, and the campaign fails: the
target did break an SLO, and no repetition of the other measurement takes that back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.slo.evidence import Judgement, Verdict

EXIT_CODES: Final[Mapping[str, int]] = {
    "pass": 0,
    "fail": 1,
    "usage": 2,
    "refused": 2,
    "inconclusive": 3,
    "invalid": 4,
    "aborted": 5,
    "lost-redis": 6,
    "internal": 70,
}
"""Exit codes of run, submit --wait, watch, report and compare. A fired `abort_if` is a fail."""

_WITHIN: tuple[Verdict, ...] = ("invalid", "fail", "inconclusive", "pass")
_OVER_ALL: tuple[Verdict, ...] = ("fail", "invalid", "inconclusive", "pass")
NOT_JUDGED = "measured, not judged: no SLO stands on it"


@dataclass(frozen=True, slots=True)
class ActivityVerdict:
    """What is said of one activity. `valid_fail`: an SLO was broken, and nothing casts doubt on that."""

    activity: str
    verdict: Verdict
    reasons: tuple[str, ...]
    valid_fail: bool = False
    fail_reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PhaseVerdict:
    """What is said of a phase; a skipped one has no verdict, and `skipped_because` says why."""

    phase: str
    verdict: Verdict | None
    reasons: tuple[str, ...] = ()
    skipped_because: str = ""
    valid_fail: bool = False
    fail_reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CampaignVerdict:
    """What is said of the campaign, the reasons that decide it first; `exit_code` goes with it."""

    verdict: Verdict
    reasons: tuple[str, ...]
    exit_code: int


def activity_verdict(
    activity: str, judgements: Sequence[Judgement], *, invalid_reasons: Sequence[str] = (), kind: str = "load"
) -> ActivityVerdict:
    """The verdict of one activity from its judgements and from what makes all of it invalid.

    `invalid_reasons`: of `orchestrator.slo.validity`, and of whoever ran it. With no judgement at all it
    passes, and says so where its `kind` could have been judged.
    """
    fails = tuple(said(one) for one in judgements if one.verdict == "fail")
    if invalid_reasons:
        reasons = (*invalid_reasons, *_reasons(judgements, "invalid"), *fails)
        return ActivityVerdict(activity, "invalid", reasons)
    verdict = first_of(_WITHIN, [one.verdict for one in judgements])
    reasons = tuple(reason for grade in _WITHIN if grade != "pass" for reason in _reasons(judgements, grade))
    if not judgements and kind not in {"telemetry", "chaos"}:
        reasons = (NOT_JUDGED,)
    return ActivityVerdict(activity, verdict, reasons, valid_fail=bool(fails), fail_reasons=fails)


def phase_verdict(
    phase: str, activities: Sequence[ActivityVerdict], *, invalid_reasons: Sequence[str] = ()
) -> PhaseVerdict:
    """The verdict of a phase: a valid fail comes first, then invalid, inconclusive, pass.

    `invalid_reasons` are the phase's own, say that it was not placed in time: then nothing of it is valid.
    """
    if invalid_reasons:
        reasons = (*invalid_reasons, *_named(activities, "invalid"))
        return PhaseVerdict(phase, "invalid", reasons)
    fails = tuple(
        f"{one.activity}: {reason}" for one in activities for reason in one.fail_reasons if one.valid_fail
    )
    verdict = first_of(_OVER_ALL, [one.verdict for one in activities])
    others = tuple(
        reason for grade in _OVER_ALL[1:] for reason in _named(activities, grade) if reason not in fails
    )
    return PhaseVerdict(
        phase,
        "fail" if fails else verdict,
        (*fails, *others),
        valid_fail=bool(fails),
        fail_reasons=fails,
    )


def skipped(phase: str, because: str) -> PhaseVerdict:
    """A phase that did not run since one that it requires did not hold."""
    return PhaseVerdict(phase, None, skipped_because=because)


def campaign_verdict(
    phases: Sequence[PhaseVerdict],
    *,
    aborted_by_slo: str = "",
    aborted_by_person: str = "",
    invalid_reasons: Sequence[str] = (),
) -> CampaignVerdict:
    """The verdict of a campaign and its exit code.

    `aborted_by_slo`: the reason of an `abort_if` that fired; a fail, and the first reason.
    `aborted_by_person`: who stopped it and why; the exit code is 5, and the verdict what is known: a valid
    fail, else invalid. `invalid_reasons`: of the campaign itself. A campaign of which no phase ran is
    invalid.
    """
    ran = [one for one in phases if one.verdict is not None]
    fails = tuple(f"{one.phase}: {reason}" for one in ran for reason in one.fail_reasons)
    known = tuple(
        f"{one.phase}: {reason}" for grade in _OVER_ALL for one in ran for reason in _of(one, grade)
    )
    others = tuple(reason for reason in known if reason not in fails)
    missed = tuple(f"{one.phase}: skipped, {one.skipped_because}" for one in phases if one.verdict is None)
    own = tuple(invalid_reasons) if ran or invalid_reasons or missed else ("no phase ran",)
    verdicts: list[Verdict] = [one.verdict for one in ran if one.verdict is not None]
    if own or aborted_by_person or not ran:
        verdicts.append("invalid")
    verdict = first_of(_OVER_ALL, verdicts)
    if aborted_by_slo or fails:
        verdict = "fail"
    first = tuple(reason for reason in (aborted_by_person, aborted_by_slo) if reason)
    code = EXIT_CODES["aborted"] if aborted_by_person else EXIT_CODES[verdict]
    return CampaignVerdict(verdict, (*first, *fails, *own, *others, *missed), code)


def first_of(order: Sequence[Verdict], verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that comes first in `order` among those given; pass where there are none."""
    return min(verdicts, key=order.index, default="pass")


def said(judgement: Judgement) -> str:
    """A judgement as a reason: the expression, its verdict where it is no plain fail, and why."""
    grade = "" if judgement.verdict == "fail" else f" is {judgement.verdict}"
    return f"{judgement.slo}{grade}: {judgement.why}"


def _reasons(judgements: Sequence[Judgement], verdict: Verdict) -> tuple[str, ...]:
    return tuple(said(one) for one in judgements if one.verdict == verdict)


def _named(activities: Sequence[ActivityVerdict], verdict: Verdict) -> tuple[str, ...]:
    return tuple(
        f"{one.activity}: {reason}" for one in activities if one.verdict == verdict for reason in one.reasons
    )


def _of(phase: PhaseVerdict, verdict: Verdict) -> tuple[str, ...]:
    return phase.reasons if phase.verdict == verdict else ()
