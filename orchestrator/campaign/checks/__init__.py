"""What must hold across a campaign's values, beyond the type of each: one module a subject."""

from collections.abc import Iterator

from orchestrator.campaign.checks.ceilings import check_ceilings
from orchestrator.campaign.checks.chaos import check_chaos
from orchestrator.campaign.checks.clients import check_clients
from orchestrator.campaign.checks.expressions import check_expressions
from orchestrator.campaign.checks.gameday import check_gameday
from orchestrator.campaign.checks.phases import check_phases
from orchestrator.campaign.checks.proxies import check_proxies
from orchestrator.campaign.checks.regression import check_regression
from orchestrator.campaign.checks.silences import check_silences
from orchestrator.campaign.checks.targets import check_targets
from orchestrator.campaign.checks.traffic import check_traffic
from orchestrator.campaign.findings import Finding
from orchestrator.campaign.models import Campaign


def check(campaign: Campaign) -> Iterator[Finding]:
    """Everything that is wrong in a campaign whose values each have the right type."""
    yield from check_targets(campaign)
    yield from check_phases(campaign)
    yield from check_traffic(campaign)
    yield from check_ceilings(campaign)
    yield from check_clients(campaign)
    yield from check_regression(campaign)
    yield from check_chaos(campaign)
    yield from check_proxies(campaign)
    yield from check_expressions(campaign)
    yield from check_gameday(campaign)
    yield from check_silences(campaign)
