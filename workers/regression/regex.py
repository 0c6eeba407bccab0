"""`regex`: the expected text is a pattern, and all of the answer must match it.

Python's `re` can backtrack without end, so an answer is cut to MAX_TEXT characters before it is matched and a
match may use MAX_MATCH_S of CPU; past either the case fails and says so.
"""

import re
from functools import lru_cache
from typing import ClassVar

import msgspec

from workers.regression.contract import shown
from workers.regression.cpu_limit import MAX_MATCH_S, CpuLimitError, cpu_limit

MAX_TEXT = 1024 * 1024
"""Characters of an answer that are matched: 1 MiB of ASCII."""


class RegexOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to set; flags go into the pattern, e.g. `(?i)`."""


class Regex:
    """All of the answer matches the pattern."""

    Options: ClassVar[type[RegexOptions]] = RegexOptions

    @staticmethod
    def check(expected: object, options: RegexOptions) -> str | None:  # noqa: ARG004  # all kinds alike
        """The pattern must be text that compiles."""
        if not isinstance(expected, str):
            return f"regex needs a pattern (text), but {shown(expected)} is expected"
        try:
            _compiled(expected)
        except (re.error, RecursionError, OverflowError) as error:
            return f"the pattern {shown(expected)} is broken: {error}"
        return None

    @staticmethod
    def compare(expected: object, answer: object, options: RegexOptions) -> str | None:
        """Why the answer does not match."""
        problem = Regex.check(expected, options)
        if problem or not isinstance(expected, str):
            return problem
        if not isinstance(answer, str):
            return f"expected text that matches {shown(expected)}, got {shown(answer)}"
        if len(answer) > MAX_TEXT:
            return f"the answer has {len(answer):,} characters, more than the {MAX_TEXT:,} that are matched"
        try:
            with cpu_limit(MAX_MATCH_S):
                matches = _compiled(expected).fullmatch(answer)
        except CpuLimitError:
            return f"the pattern {shown(expected)} took over {MAX_MATCH_S:g} s of CPU; make it backtrack less"
        return None if matches else f"does not match {shown(expected)}: {shown(answer)}"


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
