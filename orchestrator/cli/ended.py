"""The end of a fleet's campaign: results fetched where they are wanted, the verdict told, the exit code."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import redis
import typer

from orchestrator.cli.connection import signing_keys
from orchestrator.cli.exits import EXIT_USAGE, fail, told_code
from orchestrator.cli.following import insist
from orchestrator.cli.options import Inconclusive
from orchestrator.cli.watching import Result, Screen, show_result
from orchestrator.coordinator.cards import coordinators
from orchestrator.results.fetch import FetchError, fetch, sealed_verdict, why_no_report
from orchestrator.results.results import REPORT
from orchestrator.results.sealing import SealError
from orchestrator.store.store import Store
from workers.contract import facts as f

FETCH_WITHIN_S: Final = 60.0
STANDS_WITHOUT_REPORT: Final = frozenset({"fail", "aborted", "refused", "internal"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted at the end: results in `out` (None: left where they are), the exit code if inconclusive.

    `indent`: of the result as JSON; None for one line.
    """

    out: Path | None = None
    on_inconclusive: Inconclusive | None = None
    indent: int | None = 2


def tell_end(store: Store, campaign: str, ended: f.Ended, *, screen: Screen, wanted: Wanted) -> NoReturn:
    """Fetch, tell, and exit by the verdict. Raises redis errors."""
    missing = insist(lambda: why_no_report(store, campaign), within_s=FETCH_WITHIN_S)
    ended = as_told(ended, missing) if missing else _as_sealed(store, campaign, ended)
    problem = ""
    if wanted.out is not None:
        problem = fetch_into(store, campaign, wanted.out)
    here = wanted.out if wanted.out is not None and (wanted.out / REPORT).exists() else None
    elsewhere = "it has no report" if missing else where_kept(store, campaign)
    show_result(screen, Result(campaign, ended, here, elsewhere), indent=wanted.indent)
    code = told_code(ended.verdict, wanted.on_inconclusive)
    if problem:
        fail(problem, code or EXIT_USAGE)
    raise typer.Exit(code)


def fetch_into(store: Store, campaign: str, folder: Path) -> str:
    """Fetch a campaign's results into a folder; why that did not work, or "". Raises redis errors."""
    try:
        insist(lambda: fetch(store, campaign, folder, keys=signing_keys()), within_s=FETCH_WITHIN_S)
    except (FetchError, SealError) as error:
        return str(error)
    except OSError as error:
        why = error.strerror or str(error)
        again = f"`shakeout report {campaign} --out DIR` fetches them into another"
        return f"results cannot be written to {folder}: {why}; {again}"
    return ""


def where_kept(store: Store, campaign: str) -> str:
    """Where the coordinator keeps the results of a campaign, in words."""
    try:
        leader = coordinators(store, store.now_s()).leader
    except redis.RedisError:
        leader = None
    if leader is None:
        return f"`shakeout report {campaign}` fetches its results"
    place = f"{leader.runs.rstrip('/')}/{campaign}" + ("" if "://" in leader.runs else f" on {leader.host}")
    return f"results: {place}; `shakeout report {campaign}` fetches them here"


def as_told(ended: f.Ended, why_no_report: str) -> f.Ended:
    """The end as it is told: without its report no verdict stands but one that needs none."""
    if not why_no_report or ended.verdict in STANDS_WITHOUT_REPORT:
        return ended
    reasons = (f"it has no report: {why_no_report}", *ended.reasons)
    return f.Ended(verdict="internal", reasons=reasons, at_s=ended.at_s)


def _as_sealed(store: Store, campaign: str, ended: f.Ended) -> f.Ended:
    """The end as it is told where we have keys: the journal may be anybody's word, the seal is not."""
    keys = signing_keys()
    if not keys.keys:
        return ended
    try:
        verdict = insist(lambda: sealed_verdict(store, campaign, keys), within_s=FETCH_WITHIN_S)
    except SealError as error:
        return f.Ended(verdict="internal", reasons=(str(error), *ended.reasons), at_s=ended.at_s)
    if verdict == ended.verdict:
        return ended
    why = f"the journal says {ended.verdict}, but what the coordinator sealed is {verdict}"
    return f.Ended(verdict=verdict, reasons=(why, *ended.reasons), at_s=ended.at_s)
