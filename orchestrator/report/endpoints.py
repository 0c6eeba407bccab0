"""What a campaign asked, endpoint by endpoint: each target's activities together, in report.json."""

from typing import TYPE_CHECKING, Any

from orchestrator.aggregate.evidence import Measured
from orchestrator.campaign.models import Target
from orchestrator.report.masking import masked_text
from orchestrator.report.quantities import judged_span_s
from orchestrator.report.tables import row_of
from orchestrator.results.outcome import Outcome
from workers.contract.snapshot import ENDPOINT_GROUP, JUDGED

if TYPE_CHECKING:
    from orchestrator.aggregate.totals import Totals


def endpoint_sections(outcome: Outcome) -> list[dict[str, Any]]:
    """One entry a target and, where an activity asks several things of it, what was asked.

    Rates are over the judged spans of its activities, one after the other.
    """
    asked: dict[tuple[str, str], list[Measured]] = {}
    for phase in outcome.phases:
        for one in phase.measured:
            for endpoint in _endpoints(one):
                asked.setdefault((one.plan.target or "", endpoint), []).append(one)
    return [
        {
            "target": target,
            "endpoint": endpoint,
            **_where(outcome, target),
            "activities": [one.plan.key for one in measured],
            **_row(measured, endpoint),
        }
        for (target, endpoint), measured in asked.items()
    ]


def _endpoints(measured: Measured) -> list[str]:
    named = [name for name in measured.totals.groups() if name.startswith(ENDPOINT_GROUP)]
    return [name.removeprefix(ENDPOINT_GROUP) for name in sorted(named)] or [""]


def _where(outcome: Outcome, target: str) -> dict[str, Any]:
    found = outcome.campaign.targets.get(target)
    if not isinstance(found, Target):
        return {"protocol": "", "url": ""}
    url = masked_text(found.url or "", outcome.campaign)
    path = "" if found.path == "/" else found.path
    return {"protocol": found.protocol, "url": f"{url.rstrip('/')}{path}" if url else ""}


def _row(measured: list[Measured], endpoint: str) -> dict[str, Any]:
    rows: dict[int, Totals] = {}
    for one in measured:
        group = ENDPOINT_GROUP + endpoint if endpoint else JUDGED
        rows |= {len(rows) + at: row for at, row in enumerate(one.totals.group(group).values())}
    return row_of(rows, sum(judged_span_s(one) for one in measured))
