"""`shakeout validate FILE`: every problem of a campaign file at once, nothing started."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.campaign.golden import check_golden
from orchestrator.campaign.load import load_campaign
from orchestrator.errors import CampaignFileError, Problem
from orchestrator.submit.data_checks import check_data

# DESIGN.md section 6: usage or campaign file error.
EXIT_USAGE = 2


def validate(
    file: Annotated[Path, typer.Argument(help="The campaign file.", show_default=False)],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Replace a value before checking; repeatable."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Check a campaign file and the files that it names; exit 2 with every problem where it is wrong."""
    try:
        loaded = load_campaign(file, sets=tuple(set_ or ()))
        problems = (*check_golden(loaded), *check_data(loaded))
    except CampaignFileError as error:
        _say(file, error.problems, (), as_json=json_)
        raise typer.Exit(EXIT_USAGE) from None
    if problems:
        _say(file, problems, loaded.warnings, as_json=json_)
        raise typer.Exit(EXIT_USAGE)
    _say(file, (), loaded.warnings, as_json=json_)


def _say(file: Path, problems: tuple[Problem, ...], warnings: tuple[Problem, ...], *, as_json: bool) -> None:
    if as_json:
        told = {
            "file": str(file),
            "valid": not problems,
            "problems": [asdict(one) for one in problems],
            "warnings": [asdict(one) for one in warnings],
        }
        print(json.dumps(told, indent=2))
        return
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        print(f"{file}: {count}", file=sys.stderr)
    else:
        print(f"{file}: OK")
