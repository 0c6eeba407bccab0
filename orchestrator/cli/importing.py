"""`shakeout import chaostoolkit FILE`: a campaign made of another tool's experiment, and what it lacks."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.campaign.findings import dotted
from orchestrator.campaign.load import load_campaign
from orchestrator.campaign.yaml_reader import MAX_BYTES, YamlError, decode
from orchestrator.chaostoolkit.convert import convert
from orchestrator.chaostoolkit.experiment import read_experiment
from orchestrator.chaostoolkit.imported import Imported
from orchestrator.chaostoolkit.writing import campaign_text, line_of
from orchestrator.cli.exits import EXIT_USAGE, fail, fail_file
from orchestrator.cli.options import Json
from orchestrator.cli.plain import plain
from orchestrator.cli.tables import show_json
from orchestrator.errors import CampaignFileError, Problem

import_ = typer.Typer(help="Campaigns made of other tools' files.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class _Left:
    """What was left out, and where it stands."""

    line: int
    path: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class _Told:
    """What is said for scripts."""

    campaign: str
    files: tuple[str, ...]
    left_out: tuple[_Left, ...]
    to_do: tuple[str, ...]
    problems: tuple[str, ...]


@import_.command()
def chaostoolkit(
    file: Annotated[Path, typer.Argument(help="An experiment, JSON or YAML.", show_default=False)],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The campaign file; else NAME.yaml here.", show_default=False),
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option("--var", metavar="NAME=VALUE", help="A value of its configuration; repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
    json_: Json = False,
) -> None:
    """Make a campaign of a Chaos Toolkit experiment; say all that could not be carried over."""
    try:
        experiment = read_experiment(_text(file), file=str(file), given=_given(var or ()))
    except CampaignFileError as error:
        fail_file(file, error)
    imported = convert(experiment)
    path = output or Path(f"{imported.document['campaign']}.yaml")
    _write(path, imported, source=file.name, force=force)
    problems = _problems(path)
    if json_:
        show_json(_told(path, imported, problems))
        return
    print(f"written: {path}" + "".join(f", {name}" for name in imported.rows))
    _say("to be done before it can run", imported.to_do)
    _say("not carried over", [line_of(one) for one in imported.left_out])
    _say("to be mended by hand", [str(one) for one in problems])
    print(f"next: shakeout validate {path}; shakeout plan {path}")


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return decode(stream.read(MAX_BYTES + 1))
    except OSError as error:
        fail(f"{file}: {(error.strerror or str(error)).lower()}", EXIT_USAGE)
    except YamlError as error:
        flaw = error.flaws[0]
        fail_file(
            file,
            CampaignFileError((Problem(str(file), flaw.place.line, flaw.place.column, "", flaw.message),)),
        )


def _given(typed: list[str] | tuple[()]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in typed:
        name, mark, value = one.partition("=")
        if not mark or not name:
            fail(f"--var {one!r}: say NAME=VALUE", EXIT_USAGE)
        found[name] = value
    return found


def _write(path: Path, imported: Imported, *, source: str, force: bool) -> None:
    """Write the rows, then the campaign, so that it never names what is not there."""
    files = {path.parent / name: text for name, text in imported.rows.items()}
    files[path] = campaign_text(imported, source=source)
    there = [str(file) for file in files if file.exists()]
    if there and not force:
        fail(f"{', '.join(there)} is there already: say another -o, or --force", EXIT_USAGE)
    for file, text in files.items():
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            fail(f"{file} cannot be written: {(error.strerror or str(error)).lower()}", EXIT_USAGE)


def _problems(path: Path) -> tuple[Problem, ...]:
    """What `validate` says of what was written."""
    try:
        load_campaign(path)
    except CampaignFileError as error:
        return error.problems
    return ()


def _told(path: Path, imported: Imported, problems: tuple[Problem, ...]) -> _Told:
    left_out = tuple(_Left(one.line, dotted(one.path), one.what, one.why) for one in imported.left_out)
    files = tuple(str(path.parent / name) for name in imported.rows)
    return _Told(str(path), files, left_out, imported.to_do, tuple(map(str, problems)))


def _say(title: str, lines: tuple[str, ...] | list[str]) -> None:
    if lines:
        print(f"{title}:", file=sys.stderr)
    for line in lines:
        print(f"  - {plain(line)}", file=sys.stderr)
