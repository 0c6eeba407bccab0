"""Silences: each says what it keeps quiet, and there is an Alertmanager to tell (`gameday.silence`)."""

from collections.abc import Iterator

from orchestrator.campaign.checks.walk import monitor_of
from orchestrator.campaign.findings import Finding
from orchestrator.campaign.models import Campaign


def check_silences(campaign: Campaign) -> Iterator[Finding]:
    """What is wrong with `gameday.silence`."""
    day, monitor = campaign.gameday, monitor_of(campaign)
    if day is None or not day.silence:
        return
    if monitor is None or not monitor.alertmanager:
        hint = "add a target with `alertmanager: URL`"
        yield Finding(("gameday", "silence"), "no target is an Alertmanager, which keeps alerts quiet", hint)
    for place, one in enumerate(day.silence):
        if one.alert is None and not one.matchers:
            path = ("gameday", "silence", place)
            yield Finding(path, "keeps nothing quiet", "say the alert's name, or `matchers`")
