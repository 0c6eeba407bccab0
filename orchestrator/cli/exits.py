"""How commands end: exit codes of DESIGN.md section 6, and messages on stderr."""

import sys
from pathlib import Path
from typing import Final, NoReturn

import typer

from orchestrator.cli.plain import plain
from orchestrator.errors import CampaignFileError
from orchestrator.verdict import EXIT_CODES

EXIT_USAGE: Final = EXIT_CODES["usage"]
EXIT_ABORTED: Final = EXIT_CODES["aborted"]
EXIT_INTERNAL: Final = EXIT_CODES["internal"]
EXIT_LOST: Final = EXIT_CODES["lost-redis"]


def fail(message: str, code: int) -> NoReturn:
    """Say what is wrong and exit."""
    print(f"shakeout: {plain(message)}", file=sys.stderr)
    raise typer.Exit(code)


def fail_file(file: Path, error: CampaignFileError) -> NoReturn:
    """Say every problem of a campaign file, and how many they are, and exit."""
    for problem in error.problems:
        print(problem, file=sys.stderr)
    fail(f"{file}: {len(error.problems)} problem{'s'[: len(error.problems) > 1]}", EXIT_USAGE)


def exit_code(verdict: str) -> int:
    """Exit code of a campaign's verdict as its last fact says it."""
    return EXIT_CODES.get(verdict, EXIT_INTERNAL)


def told_code(verdict: str, on_inconclusive: str | None) -> int:
    """Exit code of a verdict where `--inconclusive` may have been given ("pass" or "fail"), and says so."""
    if verdict != "inconclusive" or on_inconclusive is None:
        return exit_code(verdict)
    code = EXIT_CODES[on_inconclusive]
    print(f"shakeout: exit code {code}, by --inconclusive {on_inconclusive}", file=sys.stderr)
    return code
