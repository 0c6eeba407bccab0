"""Recorded traffic as others publish it: which columns say when a request came, and how long it was.

Sources: Azure public dataset, LLM inference traces 2023 and 2024 (TIMESTAMP as date-times); BurstGPT
(Timestamp in seconds); Mooncake, FAST25 traces (timestamp in milliseconds, one hash id a block of 512 tokens,
alike where a block and all before it are alike).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

BLOCK_TOKENS: Final = 512
"""Tokens that one of Mooncake's hash ids stands for."""
MAX_LENGTH: Final = 1_000_000
"""Words (or tokens) of one prompt or answer: beyond any model's window, and a bound on memory."""


@dataclass(frozen=True, slots=True)
class TraceFormat:
    """Columns of a published format; `unit_s`: of times that are numbers. Empty columns: it has none."""

    name: str
    time: str
    unit_s: float
    input: str = ""
    output: str = ""
    ids: str = ""

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns by which it is known."""
        return tuple(column for column in (self.time, self.input, self.output) if column)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a recorded request and its answer; `ids`: one a block of its prompt, where they were kept."""

    input: int
    output: int
    ids: tuple[int, ...] = ()


FORMATS: Final = (
    TraceFormat("Azure LLM inference", "TIMESTAMP", 1.0, "ContextTokens", "GeneratedTokens"),
    TraceFormat("BurstGPT", "Timestamp", 1.0, "Request tokens", "Response tokens"),
    TraceFormat("Mooncake", "timestamp", 1e-3, "input_length", "output_length", "hash_ids"),
    TraceFormat("plain", "timestamp", 1.0),
)


def format_of(columns: Collection[str]) -> TraceFormat | None:
    """The format with these columns; None where there is none."""
    return next((one for one in FORMATS if set(one.needed) <= set(columns)), None)


def unknown_columns(columns: Collection[str]) -> str:
    """What was looked for, and what is there."""
    known = "; ".join(f"{one.name} ({', '.join(one.needed)})" for one in FORMATS)
    there = ", ".join(str(column)[:40] for column in list(columns)[:12]) or "nothing"
    return f"no trace that is known: looked for the columns of {known}; there are: {there}"


def lengths_of(row: Mapping[str, object]) -> Lengths | None:
    """The lengths of a recorded request; None for a row that is none, or that holds a request of its own.

    Raises ValueError where a length makes no sense.
    """
    if not row.keys().isdisjoint(("prompt", "messages", "request", "input")):
        return None
    for one in FORMATS:
        if one.input and one.input in row and one.output in row:
            return _lengths(one, row)
    return None


def _lengths(form: TraceFormat, row: Mapping[str, object]) -> Lengths:
    given, made = _length(form.input, row[form.input]), _length(form.output, row[form.output])
    ids = row.get(form.ids) if form.ids else None
    if ids is None:
        return Lengths(given, made)
    if not isinstance(ids, list) or not all(type(one) is int for one in ids):
        raise ValueError(f"{form.ids} must be a list of whole numbers")
    return Lengths(given, made, tuple(ids))


def _length(column: str, value: object) -> int:
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if type(number) is not int or not 0 <= number <= MAX_LENGTH:
        raise ValueError(f"{column} must be a whole number from 0 to {MAX_LENGTH:,}, not {value!r}")
    return number
