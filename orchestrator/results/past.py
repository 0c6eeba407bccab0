"""What the last runs with faults of the same name came to, as their reports at the runs URL tell it."""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from orchestrator import urls
from orchestrator.errors import UsageError

SHOWN: Final = 5
MOST_READ: Final = 20
"""Of the newest runs of that name: those of another kind, or without a report, are passed over."""
_TAIL: Final = re.compile(r"-(\d{8}-\d{6})-[a-z0-9]{4}")
_OF_FAULT: Final = (
    "name", "fault", "class", "held", "ttd_s", "ttm_s", "ttr_s", "felt_s", "recovered", "budget_min",
)  # fmt: skip


def past_runs(runs: str, *, name: str, but: str) -> tuple[Mapping[str, Any], ...]:
    """Of the newest runs of this name with faults, no rehearsals, the oldest first; `but`: this one's id.

    What cannot be read is passed over: a comparison is worth no failed report.
    """
    found: list[Mapping[str, Any]] = []
    with suppress(OSError, UsageError):
        for id_ in _newest(runs, name=name, but=but):
            with suppress(OSError, UsageError, ValueError, KeyError, TypeError):
                report = json.loads(urls.get(posixpath.join(runs, id_, "report.json")))
                if report["campaign"]["name"] == name and "resilience" in report:
                    found.append(_short(report))
            if len(found) == SHOWN:
                break
    return tuple(reversed(found))


def _newest(runs: str, *, name: str, but: str) -> Iterator[str]:
    """Ids of runs of that name, the newest first."""
    mine = []
    for id_ in urls.names_in(runs):
        tail = _TAIL.fullmatch(id_.removeprefix(name)) if id_.startswith(name) else None
        if tail is not None and id_ != but:
            mine.append((tail[1], id_))
    yield from (id_ for _, id_ in sorted(mine, reverse=True)[:MOST_READ])


def _short(report: Mapping[str, Any]) -> dict[str, Any]:
    day = report.get("gameday", {"budget": None, "faults": []})
    return {
        "id": str(report["campaign"]["id"]),
        "ended": str(report["campaign"]["ended"]),
        "verdict": str(report["verdict"]),
        "gameday": "gameday" in report,
        "budget_min": day["budget"]["burned_min"] if day["budget"] is not None else None,
        "faults": [{key: one[key] for key in _OF_FAULT} for one in day["faults"]],
        "resilience": {"classes": report["resilience"]["classes"]},
    }
