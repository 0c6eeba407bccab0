"""Golden sets that a campaign names: whether every row can be read, and has the tags that are asked for."""

from collections.abc import Iterator

from orchestrator.campaign.checks.walk import activities
from orchestrator.campaign.files import is_url
from orchestrator.campaign.findings import Finding, dotted, locate
from orchestrator.campaign.load import LoadedCampaign
from orchestrator.campaign.models import Campaign, RegressionActivity
from orchestrator.campaign.yaml_reader import Path, read
from orchestrator.errors import Problem
from orchestrator.slo.names import GIVEN_TAGS
from workers.contract.errors import DataError
from workers.contract.files.golden import Case, read_golden


def check_golden(loaded: LoadedCampaign) -> tuple[Problem, ...]:
    """What is wrong inside the golden sets; each is read whole, those behind URLs are not."""
    root = read(loaded.text)
    problems = []
    for finding in _findings(loaded):
        place = locate(root, finding.path)
        path = dotted(finding.path)
        problems.append(
            Problem(str(loaded.path), place.line, place.column, path, finding.message, finding.hint)
        )
    return tuple(problems)


def _findings(loaded: LoadedCampaign) -> Iterator[Finding]:
    for path, activity, golden in _golden_sets(loaded.campaign):
        try:
            cases = read_golden(loaded.path.parent / golden, name=golden, baseline=bool(activity.baseline))
        except DataError as error:
            yield Finding((*path, "golden"), str(error))
            continue
        yield from _tags(path, activity, cases)


def _golden_sets(campaign: Campaign) -> Iterator[tuple[Path, RegressionActivity, str]]:
    for path, _, activity in activities(campaign):
        if isinstance(activity, RegressionActivity) and activity.golden and not is_url(activity.golden):
            yield path, activity, activity.golden


def _tags(path: Path, activity: RegressionActivity, cases: list[Case]) -> Iterator[Finding]:
    for index, expression in enumerate(activity.slos):
        tag = expression.suffixes.tag
        if tag is None or tag[0] in GIVEN_TAGS:
            continue
        values = sorted({case.tags[tag[0]] for case in cases if tag[0] in case.tags})
        if tag[1] not in values:
            known = (
                f"{tag[0]} is one of {', '.join(values[:12])}" if values else f"no case has a tag {tag[0]}"
            )
            yield Finding((*path, "slos", index), f"no case of {activity.golden} has {'='.join(tag)}", known)
