"""What PyYAML's parser says of a broken file, in words for whoever wrote it."""

import re
from dataclasses import dataclass
from typing import Final

import yaml

QUOTE_HINT: Final = (
    'in {...} and [...] quote text with , { } [ ] #, ": " or a leading > @ % * & ! |, e.g. {gpus: ">=1"}'
)
_START: Final = re.compile(r"found character '(.+)' that cannot start any token")


@dataclass(frozen=True, slots=True)
class Said:
    """A message with its hint; `at_opening`: it speaks of the bracket or quote that stands open."""

    message: str
    hint: str = ""
    at_opening: bool = False


def in_words(error: yaml.MarkedYAMLError) -> Said:
    """The parser's error, where it is a known one in our words, else in its own."""
    problem, context = error.problem or "not YAML", error.context or ""
    return _known(problem, context) or _own(problem, context)


def _known(problem: str, context: str) -> Said | None:
    ended = "stream end" in problem or "end of stream" in problem
    if "\\t" in problem:
        return Said("a tab cannot begin a value", "indent with blanks")
    if found := _START.search(problem):
        return Said(f"a value cannot begin with {found[1]}", QUOTE_HINT)
    if ended and "flow" in context:
        bracket = "{" if "mapping" in context else "["
        return Said(f"a {bracket} that is never closed", QUOTE_HINT, at_opening=True)
    if ended and "quoted" in context:
        return Said("a quote that is never closed", at_opening=True)
    if "mapping values are not allowed" in problem:
        return Said('a second ": " on the line, or a key deeper than it may be', 'quote text with ": " in it')
    if "expected <block end>" in problem:
        hint = "keys of one mapping, and the - of one list, begin in the same column"
        return Said("the line is indented neither as those above it nor as a part of them", hint)
    if "could not find expected ':'" in problem:
        return Said("a key without `: ` behind it", "say KEY: VALUE", at_opening=True)
    return None


def _own(problem: str, context: str) -> Said:
    in_flow = "flow" in context or "node content" in problem
    return Said(f"not YAML: {context} {problem}".replace(":  ", ": "), QUOTE_HINT if in_flow else "")
