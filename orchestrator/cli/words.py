"""Words that people type or others wrote, made fit for journals and terminals: no control characters."""

from typing import Final

from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.cli.plain import plain

MOST_CHARACTERS: Final = 2_000
"""A remark or a reason, not a document: it is read in a timeline."""


def sentence(typed: str, *, of: str) -> str:
    """What was typed as one line that can be stored and shown; exit 2 where it is too long.

    `of`: what it is, for that message ("a note").
    """
    words = " ".join(plain(" ".join(typed.split())).split())
    if len(words) > MOST_CHARACTERS:
        fail(f"{of} of {len(words):,} characters: at most {MOST_CHARACTERS:,} are kept", EXIT_USAGE)
    return words


def why_of(typed: str) -> str:
    """The text of `--why`."""
    return sentence(typed, of="--why")
