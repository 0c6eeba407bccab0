"""`shakeout schedule add|list|pause|resume|remove`: campaigns that a fleet runs by itself, at set times."""

import time
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

import typer

from orchestrator.campaign.units import UnitError, duration_s
from orchestrator.cli.confirming import CONFIRMED_WITHIN_S, EXIT_UNCONFIRMED, POLL_S
from orchestrator.cli.connection import Broker, keys_for, open_store, reaching, signing_keys, user
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.cli.incoming import load
from orchestrator.cli.options import Json, Labels, MaxTime, Sets, Why, labels_of, max_time_s
from orchestrator.cli.tables import console, moment, say, show_json, show_table
from orchestrator.errors import ShakeoutError
from orchestrator.gameday.cron import Cron
from orchestrator.gameday.schedules import (
    Changed,
    Outcome,
    Schedule,
    ScheduleWord,
    encode_word,
    sign_word,
)
from orchestrator.overview.schedules import (
    NextRun,
    ScheduleLine,
    next_runs,
    read_outcomes,
    schedule_lines,
    schedules,
)
from orchestrator.store.store import Store
from orchestrator.submit.scheduled import schedule_of
from orchestrator.submit.submit import draw_seed
from workers.contract.broker import names
from workers.contract.errors import ShakeoutWorkerError
from workers.contract.signed.signing import Keys

LAST_WORDS: Final = 60
"""Characters of why a run was refused in the table; `--json` has all."""
schedule = typer.Typer(help="Campaigns that the fleet runs by itself, at set times.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `shakeout schedule list` shows it.")]


@schedule.command()
def add(
    file: Annotated[Path, typer.Argument(help="The campaign file.", show_default=False, readable=False)],
    *,
    cron: Annotated[str, typer.Option(help='Five fields, e.g. "0 10 * * tue".', show_default=False)],
    timezone: Annotated[
        str, typer.Option(help="IANA name of the time zone, e.g. Europe/Berlin.", show_default=False)
    ],
    name: Annotated[str, typer.Option(help="Of the schedule; else the campaign's.")] = "",
    jitter: Annotated[str, typer.Option(help="Begin each run up to so much later, e.g. 5m.")] = "",
    set_: Sets = None,
    label: Labels = None,
    max_time: MaxTime = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="In place of the one of this name, e.g. after its file changed.")
    ] = False,
    broker: Broker = "",
) -> None:
    """Have a campaign submitted at set times by whichever coordinator leads then; one run at a time.

    What is submitted is the file as it is now, whatever becomes of it: after a change add it with --replace.
    """
    store, keys = open_store(broker), keys_for(broker)
    loaded = load(file, set_ or (), local=False)
    try:
        jitter_s = duration_s(jitter) if jitter else 0.0
    except UnitError as error:
        fail(f"--jitter {jitter!r}: {error.message} ({error.hint})", EXIT_USAGE)
    named = name or loaded.campaign.campaign
    if not names.is_worker_name(named):
        fail(f"--name {named!r}: letters, digits, `.`, `_` and `-`, at most 63 of them", EXIT_USAGE)
    times = Cron(named, cron, timezone, jitter_s, draw_seed() if jitter_s else 0)
    with reaching(broker):
        before = schedules(store)[0].get(named)
        if before is not None and not replace:
            fail(
                f"there is a schedule {named!r} already: say --replace to have this one in its place, or "
                "another --name",
                EXIT_USAGE,
            )
        try:
            word = schedule_of(
                loaded, store=store, cron=times, by=user(), labels=labels_of(label or ()),
                max_time_s=max_time_s(max_time),
            )  # fmt: skip
        except (ShakeoutError, ShakeoutWorkerError) as error:
            fail(str(error), EXIT_USAGE)
        _say(store, keys, word)
        print(f"scheduled: {named}" + (", in place of the one before" if before is not None else ""))
        _show_next(store, Schedule(word, word.at_s))


@schedule.command("list")
def list_(json_: Json = False, broker: Broker = "") -> None:
    """Show every schedule: whose it is, when it runs next, what came of its last run, how many missed."""
    store = open_store(broker)
    with reaching(broker):
        lines = schedule_lines(store, signing_keys())
    if json_:
        show_json(lines)
        return
    to = console()
    if not lines:
        say(to, "nothing is scheduled; `shakeout schedule add FILE --cron ... --timezone ...` does")
        return
    header = ("schedule", "when", "next", "last", "fired", "refused", "missed", "by", "")
    show_table(to, header, [_row(one) for one in lines])


@schedule.command()
def pause(name: Name, why: Why = "", broker: Broker = "") -> None:
    """Let a schedule rest: runs that fall due meanwhile are neither begun nor missed."""
    _change(name, "paused", why, broker)


@schedule.command()
def resume(name: Name, why: Why = "", broker: Broker = "") -> None:
    """Let a paused schedule go on with its next run."""
    _change(name, "resumed", why, broker)


@schedule.command()
def remove(name: Name, why: Why = "", broker: Broker = "") -> None:
    """Take a schedule away; a run that goes on now is not stopped by it."""
    _change(name, "removed", why, broker)


def _change(name: str, to: Literal["paused", "resumed", "removed"], why: str, broker: str) -> None:
    store, keys = open_store(broker), keys_for(broker)
    with reaching(broker):
        there = schedules(store)[0]
        if name not in there:
            known = ", ".join(sorted(there)) or "none at all"
            fail(f"there is no schedule {name!r}; there are: {known}", EXIT_USAGE)
        rests = there[name].paused
        if to == "paused" and rests is not None:
            fail(f"{name} rests already, paused by {rests.by} {moment(rests.at_s)} UTC", EXIT_USAGE)
        if to == "resumed" and rests is None:
            fail(f"{name} is not paused: `shakeout schedule list` shows its next run", EXIT_USAGE)
        _say(store, keys, Changed(name=name, to=to, by=user(), why=why, at_s=store.now_s()))
        print(f"{to}: {name}")
        if to == "resumed":
            _show_next(store, schedules(store)[0].get(name))


def _say(store: Store, keys: Keys, word: ScheduleWord) -> None:
    """Put a signed word into the stream, and wait until the leader says whether it counts."""
    body = encode_word(sign_word(word, keys=keys))
    entry = store.client.xadd(names.SCHEDULES, {"s": body}).decode()
    answer = _heard(lambda: next((one for one in read_outcomes(store) if one.word == entry), None))
    if answer is None:
        leads = "the coordinator has not" if store.is_led() else "no coordinator leads that could have"
        fail(f"said, but {leads} answered within {CONFIRMED_WITHIN_S:.0f} s; it stands", EXIT_UNCONFIRMED)
    if answer.what == "doubted":
        fail(f"the coordinator refused it: {answer.why}", EXIT_USAGE)


def _heard(find: Callable[[], Outcome | None]) -> Outcome | None:
    """What it finds, once it does; None where the time is over."""
    over = time.monotonic() + CONFIRMED_WITHIN_S
    while time.monotonic() < over:
        found = find()
        if found is not None:
            return found
        time.sleep(POLL_S)
    return None


def _show_next(store: Store, schedule: Schedule | None) -> None:
    """Its next runs, a line each; with which of them will be refused."""
    if schedule is not None:
        for one in next_runs(schedule, now_s=store.now_s()):
            print(f"  {_when(one, schedule.added.timezone)}")


def _when(run: NextRun, timezone: str) -> str:
    refused = f"  will be refused: {run.why_not}" if run.why_not else ""
    return f"{_local(run.at_s, timezone)}{refused}"


def _local(at_s: float, timezone: str) -> str:
    """A moment by the schedule's clock; with its offset, since an hour may come twice."""
    return f"{datetime.fromtimestamp(at_s, ZoneInfo(timezone)):%a %Y-%m-%d %H:%M:%S %z} {timezone}"


def _row(one: ScheduleLine) -> tuple[str, ...]:
    coming = next(islice(one.next, 1), None)
    because = f": {one.paused_why}" if one.paused_why else ""
    rests = f"paused by {one.paused_by}{because}; `shakeout schedule resume {one.name}`"
    upcoming = rests if one.paused_by else _when(coming, one.timezone) if coming else ""
    last = f"{one.last} {_local(one.last_due_s, one.timezone)}" if one.last else ""
    why = one.last_campaign or one.last_why[:LAST_WORDS]
    jitter = f" (+{one.jitter_s:g} s)" if one.jitter_s else ""
    return (
        one.name,
        f"{one.cron} {one.timezone}{jitter}",
        upcoming,
        " ".join(filter(None, (last, why))),
        str(one.fired),
        str(one.refused),
        str(one.missed),
        f"{one.by} ({one.key})" if one.key else one.by,
        one.doubt,
    )
