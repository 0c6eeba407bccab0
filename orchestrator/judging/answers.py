"""Whether a target answered the clients of a fault only as it documents. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from orchestrator.campaign.fault_clients import documented_answers
from orchestrator.plan import ActivityPlan
from orchestrator.slo.evidence import FaultSpan, Judgement

DOCUMENTED: Final = "documented answers"
"""With this begins what is said of them; it is no expression of the language."""
_ANSWERS, _UNEXPECTED = "answers.", "unexpected."


def judge_answers(activity: ActivityPlan, spans: Iterable[FaultSpan]) -> Iterator[Judgement]:
    """One judgement for each of an activity's faults whose clients know which answers are documented."""
    done = list(spans)
    for number, step in enumerate(activity.steps):
        documented = documented_answers(step)
        if not documented:
            continue
        did: Counter[str] = Counter()
        for span in done:
            if span.step == number:
                did.update(span.did)
        which = f" of {step.fault} ({number + 1})" if len(activity.steps) > 1 else f" of {step.fault}"
        yield _judgement(activity.key, f"{DOCUMENTED}{which}: {', '.join(documented)}", did)


def _judgement(activity: str, slo: str, did: Mapping[str, int]) -> Judgement:
    """Fail where any answer was another, inconclusive where there was none."""
    answered = sum(count for name, count in did.items() if name.startswith(_ANSWERS))
    others = {name: count for name, count in did.items() if name.startswith(_UNEXPECTED)}
    wrong = sum(others.values())
    if wrong:
        shown = ", ".join(f"{_words(name)} × {count}" for name, count in others.items())
        why = f"{wrong} of {answered} answers were others: {shown}"
    else:
        why = f"all of {answered} answers" if answered else "no request was answered"
    return Judgement(
        slo=slo,
        place="expect",
        activity=activity,
        verdict="fail" if wrong else "pass" if answered else "inconclusive",
        observed=float(wrong) if answered else None,
        bound=0.0,
        samples=answered,
        effective_samples=None,
        why=why,
    )


def _words(name: str) -> str:
    """`unexpected.broken-json.200` as a person says it."""
    of, _, status = name.removeprefix(_UNEXPECTED).rpartition(".")
    return f"{of} answered {status}"
