"""Where an activity's requests come from: rows of a file, or prompts made up to given lengths."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from workers.contract.errors import DataError

MAX_LENGTH = 1_000_000
"""Words (or tokens) of one prompt or answer: beyond any model's window, and a bound on memory."""


class Fixed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="fixed"):
    """Always the same length."""

    value: int


class Uniform(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="uniform"):
    """Each whole number from `low` to `high`, both included, equally likely."""

    low: int
    high: int


class Normal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="normal"):
    """Normal with this mean and standard deviation, rounded, cut at 1 below."""

    mean: float
    sd: float


class LogNormal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="lognormal"):
    """exp of a normal: `median` in words, `sigma` of the logarithm, rounded, cut at 1 below."""

    median: float
    sigma: float


class Histogram(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="histogram"):
    """Lengths seen elsewhere with their weights, as many of one as of the other."""

    lengths: tuple[int, ...]
    weights: tuple[float, ...]


Length = Fixed | Uniform | Normal | LogNormal | Histogram


class FileData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="file"):
    """Rows of a file; arrival k takes row k mod n, or none past the last one where `at_end` is stop.

    `path` is where this machine has the file, `name` what a person calls it. `tags` are columns that become
    the request's tags and are not sent.
    """

    path: str
    order: Literal["file", "shuffle"] = "file"
    at_end: Literal["repeat", "stop"] = "repeat"
    tags: tuple[str, ...] = ()
    name: str = ""


class SyntheticData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="synthetic"):
    """Made-up prompts; lengths in words. The input's first `shared_prefix` words are alike in all rows."""

    input_tokens: Length
    output_tokens: Length
    shared_prefix: Length = Fixed(0)


DataSpec = FileData | SyntheticData


def length_of(value: object, *, folder: Path) -> Length:
    """A length as a campaign file writes it: a number, or one of uniform, normal, lognormal, histogram.

    A histogram's path is relative to `folder`. Raises DataError that says what is wrong.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return _checked(Fixed(value))
    if not isinstance(value, Mapping) or len(value) != 1:
        raise DataError(f"a length is a whole number, uniform, normal, lognormal or histogram; not {value!r}")
    name, given = next(iter(value.items()))
    try:
        match name:
            case "uniform":
                low, high = msgspec.convert(given, tuple[int, int])
                return _checked(Uniform(low, high))
            case "normal":
                return _checked(msgspec.convert({**given, "type": "normal"}, Normal))
            case "lognormal":
                return _checked(msgspec.convert({**given, "type": "lognormal"}, LogNormal))
            case "histogram":
                return read_histogram(folder / msgspec.convert(given, str))
    except (msgspec.ValidationError, TypeError) as error:
        raise DataError(f"{name}: {error}") from error
    raise DataError(f"unknown length {name!r} (known: uniform, normal, lognormal, histogram)")


def read_histogram(path: Path) -> Histogram:
    """Read `length,count` lines, after a line of names or none. Raises DataError that lists the bad ones."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    pairs: list[tuple[int, float]] = []
    bad: list[str] = []
    for line, row in enumerate(rows, start=1):
        try:
            length, weight = int(row[0]), float(row[1])
        except (ValueError, IndexError):
            if line > 1:
                bad.append(f"line {line}: {','.join(row)[:40]}")
            continue
        if not (0 <= length <= MAX_LENGTH and 0 < weight < float("inf")):
            bad.append(f"line {line}: length 0 to {MAX_LENGTH:,} and a count above 0 wanted")
        pairs.append((length, weight))
    if bad or not pairs:
        raise DataError(f"{path} needs lines `length,count`; " + ("; ".join(bad[:20]) or "it has none"))
    return Histogram(tuple(length for length, _ in pairs), tuple(weight for _, weight in pairs))


def _checked(length: Length) -> Length:
    """The length itself. Raises DataError where its numbers make no sense."""
    match length:
        case Fixed(value):
            good = 0 <= value <= MAX_LENGTH
        case Uniform(low, high):
            good = 0 <= low <= high <= MAX_LENGTH
        case Normal(mean, sd):
            good = 0 < mean <= MAX_LENGTH and 0 <= sd <= MAX_LENGTH
        case LogNormal(median, sigma):
            good = 0 < median <= MAX_LENGTH and 0 <= sigma <= 10
        case Histogram():
            good = True
    if not good:
        raise DataError(f"{length} makes no sense: lengths go from 0 to {MAX_LENGTH:,}, low before high")
    return length
