"""Retries, sessions and locustfiles: what goes with what (CAMPAIGN.md sections 5 and 6)."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from orchestrator.campaign.checks.ceilings import limits, names_beside
from orchestrator.campaign.checks.walk import activities, target_of
from orchestrator.campaign.findings import Finding
from orchestrator.campaign.models import Campaign, LoadActivity, SoakActivity, Target
from orchestrator.campaign.units import duration_text
from orchestrator.campaign.yaml_reader import Path

TALKING = ("openai-chat",)
"""Protocols whose requests can carry what was said before."""


def check_clients(campaign: Campaign) -> Iterator[Finding]:
    """What is wrong with how the clients of loads and soaks behave."""
    for path, _, activity in activities(campaign):
        if isinstance(activity, LoadActivity | SoakActivity):
            target = target_of(campaign, activity.target)
            yield from _retries(path, activity, target)
            yield from _sessions(path, activity, target)
            if activity.locustfile is not None:
                limited = not limits(campaign).keys().isdisjoint(names_beside(campaign, activity.target))
                yield from _locustfile(path, activity, limited=limited, name=activity.locustfile)


def _retries(path: Path, activity: LoadActivity | SoakActivity, target: Target | None) -> Iterator[Finding]:
    policy = activity.retries
    if policy is None:
        return
    where = (*path, "retries")
    if policy.backoff > policy.max_backoff:
        yield Finding((*where, "backoff"), "is longer than max_backoff", "the first pause is the shortest")
    if policy.attempts == 1 and policy.breaker is None:
        yield Finding((*where, "attempts"), "1 try is no retry", "say 2 or more, or leave retries out")
    if policy.breaker is not None and policy.breaker.failures == 0:
        yield Finding((*where, "breaker", "failures"), "a breaker at 0% never closes", "say 50%")
    within_s = policy.within
    if target is not None and within_s is not None and within_s <= target.timeout and "timeout" in policy.on:
        yield Finding(
            (*where, "within"),
            f"leaves a try that timed out no other: it took {duration_text(target.timeout)} already, "
            f"and none begins later than {duration_text(within_s)} after the first",
            f"say within: {duration_text(target.timeout * policy.attempts)}, or leave timeout out of `on`",
        )


def _sessions(path: Path, activity: LoadActivity | SoakActivity, target: Target | None) -> Iterator[Finding]:
    if activity.sessions is None:
        return
    if target is not None and target.protocol not in TALKING:
        yield Finding(
            (*path, "sessions"),
            f"needs a target that talks ({', '.join(TALKING)}), {activity.target} is {target.protocol}",
        )


def _locustfile(
    path: Path, activity: LoadActivity | SoakActivity, *, limited: bool, name: str
) -> Iterator[Finding]:
    where = (*path, "locustfile")
    if "://" in name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        yield Finding(
            where,
            "must be a path inside the campaign file's folder",
            "workers read it from their own folders",
        )
    for key, why in (
        ("data", "a locustfile makes its own requests"),
        ("retries", "a locustfile's users try again as they are written to"),
        ("sessions", "a locustfile's users hold their own conversations"),
        ("max_in_flight", "a locustfile's requests are as many as its users"),
        ("samples", "of a locustfile's requests no more is known than Locust's event tells"),
    ):
        if getattr(activity, key):
            yield Finding((*path, key), f"stands beside locustfile: {why}", "leave it out")
    if limited:
        message = f"target {activity.target} has a rate_limit, which users of a locustfile cannot be held to"
        yield Finding(where, message, "use process: closed with data, or a target without rate_limit")
