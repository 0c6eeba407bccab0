"""Options that several commands share, and what is typed at them turned into values: labels, durations."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final

import typer

from orchestrator.campaign.units import UnitError, duration_s
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.cli.words import why_of
from workers.contract.addresses import LIMITS_VARIABLE

MOST_LABELS: Final = 32
_LABEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")
_LABEL_CHARACTERS: Final = 256


class Inconclusive(StrEnum):
    """What an inconclusive campaign counts as for the exit code."""

    PASS = "pass"  # noqa: S105  # a verdict, no password
    FAIL = "fail"


Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Replace a value; repeatable.")
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label", metavar="KEY=VALUE", help="Mark the campaign, for lists and reports; repeatable."
    ),
]
MaxTime = Annotated[
    str,
    typer.Option(
        "--max-time",
        metavar="DURATION",
        help="Stop the campaign after so long (10m, 2h); it is invalid then.",
        show_default=False,
    ),
]
TargetLimits = Annotated[
    list[str] | None,
    typer.Option(
        "--target-limit",
        metavar="HOST:PORT=RATE",
        help="Most that all campaigns together may send a target, e.g. 10.0.0.5:8000=200/s; repeatable, and "
        f"comma-separated in {LIMITS_VARIABLE}.",
        show_default=False,
    ),
]
AnnounceTo = Annotated[
    list[str] | None,
    typer.Option(
        "--announce-to",
        metavar="HOST[:PORT]",
        help="A host whose webhooks game days may tell, beside loopback; repeatable, and comma-separated in "
        "SHAKEOUT_ANNOUNCE_TO.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print what came of it as JSON, for scripts.")]
Why = Annotated[
    str,
    typer.Option("--why", metavar="TEXT", help="For the report and everybody who asks.", callback=why_of),
]
OnInconclusive = Annotated[
    Inconclusive | None,
    typer.Option("--inconclusive", help="Let an inconclusive campaign exit with 0 or 1, not 3."),
]


def labels_of(typed: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE`s by key; exit 2 that names all that cannot be read."""
    found: dict[str, str] = {}
    wrong: list[str] = []
    for one in typed:
        key, mark, value = one.partition("=")
        why = _wrong_label(key, mark, value, known=found)
        if why:
            wrong.append(f"--label {one!r}: {why}")
        found[key] = value
    if len(found) > MOST_LABELS:
        wrong.append(f"--label: {len(found)} labels; at most {MOST_LABELS} are kept")
    if wrong:
        fail("\nshakeout: ".join(wrong), EXIT_USAGE)
    return found


def _wrong_label(key: str, mark: str, value: str, *, known: Mapping[str, str]) -> str:
    if not mark or not value:
        return "say KEY=VALUE"
    if not _LABEL_NAME.fullmatch(key):
        return "a key is up to 63 of A-Z a-z 0-9 . _ / - and begins with a letter or digit"
    if not value.isprintable() or len(value) > _LABEL_CHARACTERS:
        return f"a value is up to {_LABEL_CHARACTERS} printable characters"
    if known.get(key, value) != value:
        return f"{key} is {known[key]!r} already"
    return ""


def max_time_s(typed: str) -> float:
    """Seconds of `--max-time`; 0 where it was not given; exit 2 where it cannot be read."""
    return duration_of(typed, "--max-time") if typed else 0.0


def duration_of(typed: str, option: str) -> float:
    """Seconds of a duration that was typed at an option; exit 2 where it cannot be read."""
    try:
        return duration_s(typed)
    except UnitError as error:
        hint = f" ({error.hint})" if error.hint else ""
        fail(f"{option} {typed!r}: {error.message}{hint}", EXIT_USAGE)
