"""How commands end: exit codes of DESIGN.md section 6, and messages on stderr."""

import sys
from typing import Final, NoReturn

import typer

from orchestrator.verdict import EXIT_CODES

EXIT_USAGE: Final = EXIT_CODES["usage"]
EXIT_ABORTED: Final = EXIT_CODES["aborted"]
EXIT_INTERNAL: Final = EXIT_CODES["internal"]
EXIT_LOST: Final = EXIT_CODES["lost-redis"]


def fail(message: str, code: int) -> NoReturn:
    """Say what is wrong and exit."""
    print(f"shakeout: {message}", file=sys.stderr)
    raise typer.Exit(code)


def exit_code(verdict: str) -> int:
    """Exit code of a campaign's verdict as its last fact says it."""
    return EXIT_CODES.get(verdict, EXIT_INTERNAL)
