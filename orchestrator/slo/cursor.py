"""Where a reader stands in the text of an expression, and how it says what is wrong there."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from orchestrator.errors import ExpressionError

WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_:.\-]*")
_BLANK: Final = re.compile(r"[ \t\r\n]*")


@dataclass(slots=True)
class Cursor:
    """Where the reader stands in the text."""

    text: str
    at: int = 0

    def skip(self) -> None:
        """Move past blanks."""
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Match here, after blanks; moves on only where it matched."""
        self.skip()
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def taken(self, token: str) -> bool:
        """Whether `token` stood here, after blanks; then it is passed."""
        self.skip()
        if not self.text.startswith(token, self.at):
            return False
        self.at += len(token)
        return True

    def need(self, token: str, after: str) -> None:
        """Pass `token`. Raises ExpressionError where it does not stand here."""
        if not self.taken(token):
            raise self.error(f"needs {token!r} {after}", self.unclosed())

    def need_match(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        """Match here, after blanks. Raises ExpressionError where it does not; `what` was needed."""
        found = self.take(pattern)
        if found is None:
            raise self.error(f"needs {what}", self.unclosed())
        return found

    def word(self) -> str:
        """The word here, or nothing; does not move."""
        self.skip()
        found = WORD.match(self.text, self.at)
        return found[0] if found else ""

    def unclosed(self) -> str:
        """A hint where a bracket stays open to the end of the text."""
        open_to_end = self.text.count("(") > self.text.count(")")
        return "in [ ] a comma splits; write quotes or a `- ` list" if open_to_end else ""

    def error(self, message: str, hint: str = "", at: int | None = None) -> ExpressionError:
        """An error at offset `at`, or where the reader stands."""
        column = (self.at if at is None else at) + 1
        return ExpressionError(message, column=column, hint=hint)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word nearest to this one, or nothing."""
    near = get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""
