"""Where an activity's requests come from: rows of a file, or prompts made up to given lengths."""

from typing import Literal

import msgspec


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


class HistogramFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="histogram-file"):
    """A histogram on its way: `path` is where this machine has the file, `name` what a person calls it."""

    path: str
    name: str


Length = Fixed | Uniform | Normal | LogNormal | Histogram | HistogramFile


class FileData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="file"):
    """Rows of a file; arrival k takes row k mod n, or none past the last one where `at_end` is stop.

    `path` is where this machine has the file, `name` what a person calls it. `tags` are columns that become
    the request's tags and are not sent. `lengths`: rows that hold recorded lengths (trace_formats.py) become
    made-up prompts.
    """

    path: str
    order: Literal["file", "shuffle"] = "file"
    at_end: Literal["repeat", "stop"] = "repeat"
    tags: tuple[str, ...] = ()
    name: str = ""
    lengths: bool = False


class SyntheticData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="synthetic"):
    """Made-up prompts; lengths in words. The input's first `shared_prefix` words are alike in all rows."""

    input_tokens: Length
    output_tokens: Length
    shared_prefix: Length = Fixed(0)


DataSpec = FileData | SyntheticData
