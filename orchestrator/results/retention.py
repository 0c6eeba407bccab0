"""How long results are kept: runs that ended long ago are removed from the runs URL, if that is asked for.

Only what Shakeout wrote is removed, recognised by its report and by the names of its files, and only while
the clocks can be believed: a clock that has jumped would make every run an old one.
"""

import json
import posixpath
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from orchestrator import urls
from orchestrator.results.results import ERROR, LEFT_OUT, REPORT, SAMPLES, Results
from workers.contract.broker import names
from workers.contract.decoding import guarded

LOOKED: Final = ".shakeout-retention"
"""Name of the file at the runs URL that says when somebody last looked for old runs."""
LEAST_S: Final = 31 * 24 * 3600.0
"""A report also proves that its campaign is over: as long as an acceptance counts, it stays."""
LEAST_IN_REDIS_S: Final = 3600.0
MOST_IN_REDIS_S: Final = 30 * 24 * 3600.0
"""As long as a finished campaign is remembered at all."""
MOST_JUMP_S: Final = 30 * 24 * 3600.0
"""Since the last look, or the newest run: after more than that a person says that the clock is right."""
MOST_APART_S: Final = 3600.0
"""Between the clocks of Redis and of this host."""
MOST_FOREIGN: Final = 5
MOST_NAMED: Final = 5
WRITTEN: Final = frozenset(
    {
        "campaign.yaml", "journal.jsonl", "intervals.parquet", "report.html", "junit.xml", "report.md",
        "responses.jsonl", "parts", REPORT, SAMPLES, LEFT_OUT, ERROR, "post-mortem.md", "post-mortem.html",
    }
)  # fmt: skip
_RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*-([0-9]{8}-[0-9]{6})-[a-z0-9]{4}")


@dataclass(frozen=True, slots=True)
class Kept:
    """For how long: `runs_s` at the runs URL (None: for ever), `results_s` in Redis."""

    runs_s: float | None = None
    results_s: float = names.RESULTS_KEPT_S


KEPT: Final = Kept()


class _Campaign(msgspec.Struct):
    id: str
    ended: str


class _Report(msgspec.Struct):
    schema: int
    campaign: _Campaign


@dataclass(frozen=True, slots=True)
class Run:
    """A run's folder. `ended_s`: common time, by its report. `foreign`: why it is not touched, "" else."""

    id: str
    ended_s: float
    foreign: str = ""


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What a look for old runs came to. `removed`: ids. `left`: id -> why an old one was not removed.

    `refused`: why nothing was removed at all, "" else. `dry`: nothing was to be.
    """

    at_s: float
    keep_s: float
    removed: tuple[str, ...] = ()
    left: dict[str, str] = {}
    refused: str = ""
    dry: bool = False


encode_pruned = msgspec.json.Encoder().encode
decode_pruned = guarded(msgspec.json.Decoder(Pruned).decode)


def prune(
    results: Results,
    *,
    keep_s: float,
    now_s: float,
    own_s: float,
    live: frozenset[str] = frozenset(),
    dry: bool = False,
    sure: bool = False,
    go_on: Callable[[], bool] = lambda: True,
) -> Pruned:
    """Remove the runs that ended more than `keep_s` ago, oldest first. Raises OSError, UsageError.

    `now_s`: of the common clock; `own_s`: of this host's. `live`: campaigns that are left alone whatever
    stands in their folders. `dry`: only say which. `sure`: a person says that the clock is right. `go_on`:
    asked before each; a leader that lost the lead stops.
    """
    begun = begun_s(results)
    looked = looked_s(results)
    newest_s = max(begun.values(), default=0.0)
    refused = "" if sure else clock_doubt(now_s=now_s, own_s=own_s, looked_s=looked, newest_s=newest_s)
    if refused:
        return Pruned(at_s=now_s, keep_s=keep_s, refused=refused, dry=dry)
    removed: list[str] = []
    left: dict[str, str] = {}
    for id_ in sorted(begun, key=begun.__getitem__):
        if begun[id_] > now_s - keep_s or id_ in live:
            continue
        run = look_at(results, id_)
        if run is None or run.ended_s > now_s - keep_s:
            continue
        if run.foreign:
            left[run.id] = run.foreign
        elif not go_on():
            break
        else:
            if not dry:
                _remove(results.place(run.id))
            removed.append(run.id)
    if not dry:
        urls.put(posixpath.join(results.runs, LOOKED), json.dumps({"looked_s": now_s}).encode())
    return Pruned(at_s=now_s, keep_s=keep_s, removed=tuple(removed), left=left, dry=dry)


def begun_s(results: Results) -> dict[str, float]:
    """Names at the runs URL that are those of campaigns -> when they were submitted, as the name says."""
    found = {}
    for name in urls.names_in(results.runs):
        shape = _RUN_ID.fullmatch(name)
        if shape is not None:
            with suppress(ValueError):
                found[name] = datetime.strptime(f"{shape[1]}Z", "%Y%m%d-%H%M%S%z").timestamp()
    return found


def look_at(results: Results, id_: str) -> Run | None:
    """A run by its folder; None where that holds no report of an ended campaign of that name."""
    folder = results.place(id_)
    if not urls.is_plain_folder(folder):
        return None
    ended_s = _ended_s(folder, id_)
    return Run(id_, ended_s, _foreign(folder)) if ended_s is not None else None


def clock_doubt(*, now_s: float, own_s: float, looked_s: float, newest_s: float) -> str:
    """Why the clock is not believed, and what to do; "" where it is. Pure.

    `looked_s`: when somebody last looked for old runs; `newest_s`: when the newest run began; 0: never.
    """
    if abs(now_s - own_s) > MOST_APART_S:
        clocks = f"the clocks of Redis ({_day(now_s)}) and of this host ({_day(own_s)})"
        return f"{clocks} are {_span(now_s - own_s)} apart: set them right"
    last_s = max(looked_s, newest_s)
    if not last_s or -MOST_APART_S <= now_s - last_s <= MOST_JUMP_S:
        return ""
    seen = "somebody last looked for old runs" if last_s == looked_s else "the newest run began"
    apart = f"{_span(now_s - last_s)} from when {seen} ({_day(last_s)})"
    return (
        f"it is {_day(now_s)} by the clock, {apart}: if that is right, say so: `shakeout prune --sure --yes`"
    )


def said_of(found: Pruned) -> str:
    """What was removed, in a few words."""
    count = len(found.removed)
    named = ", ".join(found.removed[:MOST_NAMED]) + (", ..." if count > MOST_NAMED else "")
    days = f"{found.keep_s / 86400:g} d"
    return f"{count} {'run' if count == 1 else 'runs'} that ended more than {days} before: {named}"


def looked_s(results: Results) -> float:
    """When somebody last looked for old runs, common time; 0 for never."""
    try:
        return float(json.loads(urls.get(posixpath.join(results.runs, LOOKED)))["looked_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def _ended_s(folder: str, name: str) -> float | None:
    """When the campaign of that name ended, by the report in the folder; None where there is none of it."""
    try:
        report = msgspec.json.decode(urls.get(posixpath.join(folder, REPORT)), type=_Report)
        return (
            datetime.fromisoformat(report.campaign.ended).timestamp() if report.campaign.id == name else None
        )
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return None


def _foreign(folder: str) -> str:
    strange = [name for name in urls.names_in(folder) if name not in WRITTEN]
    if not strange:
        return ""
    return f"{', '.join(strange[:MOST_FOREIGN])} in it is not Shakeout's"


def _remove(folder: str) -> None:
    """The report last: what is left of a folder whose removal was interrupted is recognised by it."""
    for name in urls.names_in(folder):
        if name != REPORT:
            urls.remove_folder(posixpath.join(folder, name))
    urls.remove_folder(folder)


def _day(common_s: float) -> str:
    try:
        return datetime.fromtimestamp(common_s).astimezone().strftime("%Y-%m-%d %H:%M %Z")
    except (OverflowError, ValueError, OSError):
        return f"{common_s:.0f} s since 1970"


def _span(length_s: float) -> str:
    length_s = abs(length_s)
    return f"{length_s / 86400:.0f} d" if length_s >= 2 * 86400 else f"{length_s / 3600:.1f} h"
