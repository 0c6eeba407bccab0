"""A broken document made whole enough for the checks that look across it, so that all errors come at once.

What pydantic refuses is taken out or replaced by something harmless, again and again until it accepts; the
checks then run on that, and what they find about a replaced value is left out.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ValidationError

from orchestrator.campaign.findings import Finding
from orchestrator.campaign.models import Campaign
from orchestrator.campaign.wording import findings as worded
from orchestrator.campaign.yaml_reader import Path

# Each round mends every error that was found; what is nested deep needs one round a level.
MAX_ROUNDS: Final = 12
# Long enough that nothing beside it is found to last longer.
_LONG: Final = "3650d"
_SHORT: Final = "1us"
_ARRIVALS: Final = {"process": "constant", "rate": "1/h"}

# Something harmless for each required key that may be missing or wrong.
_HARMLESS: Final[Mapping[str, object]] = {
    "campaign": "unnamed",
    "protocol": "openai-chat",
    "arrivals": _ARRIVALS,
    "process": "constant",
    "duration": _LONG,
    "rate": "1/h",
    "for": _LONG,
    "find": "max rate",
    "between": ["1/h", "2/h"],
    "while": ["success_rate >= 50%"],
    "sources": ["host"],
    "target": "unnamed",
    "golden": "unnamed",
    "submit": "unnamed",
    "done": "unnamed",
    "file": "unnamed",
    "machine_hour": 1,
    "by": "unnamed",
    "timezone": "UTC",
    "from": "00:00",
    "to": "23:59",
    "input_tokens": 1,
    "output_tokens": 1,
    "prometheus": "unnamed",
}
_EXPRESSION: Final = "p99(latency) < 3650d"
_EXPRESSIONS: Final = ("slos", "expect", "while", "abort_if")


@dataclass(frozen=True, slots=True)
class Repaired:
    """What pydantic found, a campaign that it accepts (None if there was no way), and what was replaced."""

    campaign: Campaign | None
    findings: tuple[Finding, ...]
    replaced: frozenset[Path]

    def touches(self, path: Path) -> bool:
        """Whether a finding at `path` is about something replaced: it, a part of it, or what holds it."""
        return any(path[: len(one)] == one or one[: len(path)] == path for one in self.replaced)

    def without(self, paths: Iterable[Path]) -> "Repaired":
        """The same, where the values at these paths count as replaced too."""
        return replace(self, replaced=self.replaced | frozenset(paths))


def validate(document: object) -> Repaired:
    """Validate; where that fails, mend a copy and go on, up to MAX_ROUNDS."""
    found: dict[tuple[Path, str], Finding] = {}
    replaced: set[Path] = set()
    document = copy.deepcopy(document)
    for _ in range(MAX_ROUNDS):
        try:
            campaign = Campaign.model_validate(document)
            return Repaired(campaign, tuple(found.values()), frozenset(replaced))
        except ValidationError as error:
            fresh = list(worded(error, document, Campaign))
        so_far = frozenset(replaced)
        for finding in fresh:
            if not Repaired(None, (), so_far).touches(finding.path):
                found.setdefault((finding.path, finding.message), finding)
        replaced |= _mend_all(document, fresh, so_far)
    return Repaired(None, tuple(found.values()), frozenset(replaced))


def _mend_all(document: object, findings: list[Finding], so_far: frozenset[Path]) -> set[Path]:
    """One round: mend for each finding, but not inside what this round has already replaced."""
    replaced: set[Path] = set()
    for finding in findings:
        path = finding.path
        if any(path[: len(one)] == one for one in replaced):
            continue
        if finding.extra:
            if isinstance(holder := _holder(document, path), dict):
                holder.pop(path[-1], None)
        elif mended := _mend(document, path, again=path in so_far):
            replaced |= {path, mended}
    return replaced


def _mend(document: Any, path: Path, *, again: bool) -> Path | None:
    """Take out or replace the value at `path`; the path of what was replaced, None where there is no way.

    `again`: what was put there before was refused too, so go up one level.
    """
    if not path:
        return None
    holder = _holder(document, path)
    key = path[-1]
    if path[0] == "phases" and len(path) == 4 and path[2] == "activities" and isinstance(holder, list):
        holder[int(key)] = _activity(path)
        return path
    if again or not isinstance(holder, dict | list):
        parent = path[:-1]
        return _mend(document, parent, again=False)
    if isinstance(holder, list):
        return _mend_item(document, holder, path)
    return _mend_key(document, holder, path)


def _mend_item(document: Any, items: list[Any], path: Path) -> Path | None:
    if path[-2:-1] and path[-2] in _EXPRESSIONS:
        items[int(path[-1])] = _EXPRESSION
        return path
    return _mend(document, path[:-1], again=False)


def _mend_key(document: Any, holder: dict[str, Any], path: Path) -> Path | None:
    key = str(path[-1])
    if path[:1] == ("targets",) and len(path) == 2:
        holder[key] = {"protocol": "json-http", "url": "http://unnamed"}
        return path
    if key == "kind" and path[2:3] == ("activities",) and len(path) == 5:
        _holder(document, path[:-1])[int(path[-2])] = _activity(path[:-1])
        return path[:-1]
    if key == "name" and "activities" in (*path, *holder):
        holder["name"] = f"unnamed-{'-'.join(str(step) for step in path if isinstance(step, int))}"
        return path
    if key == "for" and path[2:3] == ("activities",) and len(path) == 5:
        # a fault's; the long one below is a stage's
        holder[key] = _SHORT
        return path
    if key == "between" and holder.get("find") == "max concurrency":
        holder[key] = [1, 2]
        return path
    if key in _HARMLESS and holder.get(key) != _HARMLESS[key]:
        holder[key] = copy.deepcopy(_HARMLESS[key])
        return path
    if key in holder:
        del holder[key]
        return path
    return _mend(document, path[:-1], again=False)


def _activity(path: Path) -> dict[str, object]:
    name = f"unnamed-{path[1]}-{path[3]}"
    return {"name": name, "kind": "load", "target": "unnamed", "duration": _LONG, "arrivals": dict(_ARRIVALS)}


def _holder(document: Any, path: Path) -> Any:
    for step in path[:-1]:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return None
    return document
