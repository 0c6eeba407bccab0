"""`shakeout doctor`: what is wrong with the broker, the fleet and this host, and what to do about it."""

import sys
from collections import Counter
from typing import Annotated

import typer

from orchestrator.checkup.finding import Finding
from orchestrator.cli.connection import Broker, signing_keys
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.cli.tables import console, say, show_json
from orchestrator.slo.words import count
from workers.contract.broker.permits import ROLES

EXIT_PROBLEM = 1
TITLES = {"broker": "Broker", "fleet": "Fleet", "host": "This host"}
COLOURS = {"ok": "", "warning": "yellow", "problem": "bold red"}


def doctor(
    role: Annotated[
        str,
        typer.Option(
            metavar="ROLE",
            show_default=False,
            help=f"Whose permissions the broker's user must have: {', '.join(ROLES)}; guessed if not said.",
        ),
    ] = "",
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Measure what one engine can do on this host, and keep it: one to two minutes.",
        ),
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="With --calibrate: half the time, coarser.")] = False,
    runs: Annotated[str, typer.Option(help="Folder of results, for the room there.")] = "runs",
    json_: Annotated[bool, typer.Option("--json", help="Print it as JSON, for scripts.")] = False,
    broker: Broker = "",
) -> None:
    """Check broker, fleet and this host; exit 1 if there is a problem. Without a broker: this host alone."""
    from orchestrator.checkup.whole import check_up  # noqa: PLC0415  # loads half of the orchestrator

    if calibrate:
        _calibrate(quick=quick)
    elif quick:
        fail("--quick goes with --calibrate", EXIT_USAGE)
    asked = next((known for known in ROLES if known == role), None)
    if role and asked is None:
        fail(f"--role {role}: say one of {', '.join(ROLES)}", EXIT_USAGE)
    found = check_up(broker=broker, role=asked, runs=runs, keys=signing_keys())
    levels = Counter[str](one.level for one in found)
    if json_:
        show_json({"problems": levels["problem"], "warnings": levels["warning"], "findings": found})
    else:
        _print(found, levels, broker=broker)
    if levels["problem"]:
        raise typer.Exit(EXIT_PROBLEM)


def _calibrate(*, quick: bool) -> None:
    """Measure this host before it is looked at; exit 1 where it cannot be measured."""
    from orchestrator.checkup.calibration import NotCalibratedError, calibrate, limits  # noqa: PLC0415

    try:
        for line in limits(calibrate(quick=quick)):
            print(line, file=sys.stderr)
    except NotCalibratedError as error:
        fail(str(error), EXIT_PROBLEM)


def _print(found: tuple[Finding, ...], levels: Counter[str], *, broker: str) -> None:
    to = console()
    if not broker:
        say(to, "No broker is named (--broker or SHAKEOUT_BROKER), so only this host is looked at.")
    wide = max(len(one.check) for one in found)
    for area, title in TITLES.items():
        findings = [one for one in found if one.area == area]
        if findings:
            say(to, f"\n{title}", style="bold")
        for one in findings:
            where = f" [{one.where}]" if one.where else ""
            say(to, f"  {one.level:<8} {one.check:<{wide}}  {one.what}{where}", style=COLOURS[one.level])
            if one.do:
                say(to, f"{'':<{wide + 13}}-> {one.do}")
    bad = f"{count(levels['problem'], 'problem')}, {count(levels['warning'], 'warning')}"
    say(to, f"\n{bad}, {levels['ok']} ok")
