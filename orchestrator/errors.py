"""Every error that the orchestrator side raises on purpose, in one tree.

Each message says what, where and what to do. A target's failure is data, never one of these.
"""

from dataclasses import dataclass
from pathlib import Path


class ShakeoutError(Exception):
    """Root of the tree: a message for a person, no traceback needed."""


class UsageError(ShakeoutError):
    """The command was called in a way that cannot work; exit 2."""


class ExpressionError(ShakeoutError):
    """An expression cannot be read, or stands where its form is not allowed.

    `column` counts from 1 within the expression's own text; `hint` says what to write instead, or is empty.
    """

    def __init__(self, message: str, *, column: int, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.hint = hint

    def __str__(self) -> str:
        return f"column {self.column}: {self.message}" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong (or worth a warning) in a campaign file.

    `line` and `column` count from 1; 0 where the value has no place in the file (it came by `--set`).
    `path` is written as in CAMPAIGN.md, e.g. `phases[1].activities[0].at`; empty for the file as a whole.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        path = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {path}{self.message}{hint}"


class CampaignFileError(UsageError):
    """A campaign file is wrong; carries every problem at once, in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...], *, file: Path | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
        self.file = file
