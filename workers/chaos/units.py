"""Quantities in the options of faults, as a person writes them (CAMPAIGN.md section 2), in base units.

Light, because the guardian loads every kind. Each reader takes the option's name for its message.
"""

import math
import re
from collections.abc import Mapping
from typing import Final

from workers.contract.errors import FaultError

_DURATIONS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_RATES: Final = {"/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600}
_SIZES: Final = {
    "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4,
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
_QUANTITY: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)(\D+)")


def seconds(text: str, *, option: str, least_s: float = 0.0, most_s: float = math.inf) -> float:
    """Seconds of `250ms`. Raises FaultError, below `least_s` and above `most_s` too."""
    value = _quantity(text, _DURATIONS, option=option, example="250ms")
    if value < least_s:
        raise FaultError(f"{option} {text}: must be at least {least_s:g}s")
    if value > most_s:
        raise FaultError(f"{option} {text}: must be at most {most_s:g}s")
    return value


def per_second(text: str, *, option: str, most: float) -> float:
    """Per second of `20/s`, `90/min`; above 0 and at most `most`. Raises FaultError."""
    value = _quantity(text, _RATES, option=option, example="20/s")
    if not 0 < value <= most:
        raise FaultError(f"{option} {text}: must be above 0/s and at most {most:g}/s")
    return value


def share(text: str, *, option: str) -> float:
    """A fraction 0..1 of `25%`. Raises FaultError."""
    value = _quantity(text, {"%": 0.01}, option=option, example="25%")
    if value > 1:
        raise FaultError(f"{option} {text}: must be at most 100%")
    return value


def size_bytes(text: str, *, option: str) -> int:
    """Bytes of `64MiB` or `64MB`, rounded down. Raises FaultError."""
    return int(_quantity(text, _SIZES, option=option, example="1MiB"))


def bytes_per_second(text: str, *, option: str) -> float:
    """Bytes a second of `1KiB/s`; above 0. Raises FaultError."""
    size, slash, _ = text.partition("/s")
    value = _quantity(size, _SIZES, option=option, example="1KiB/s") if slash == "/s" else 0.0
    if value <= 0 or text != f"{size}/s":
        raise FaultError(f"{option} {text!r}: say a size per second, e.g. 1KiB/s")
    return value


def _quantity(text: str, units: Mapping[str, float], *, option: str, example: str) -> float:
    found = _QUANTITY.fullmatch(text.strip())
    if found is None or found[2] not in units:
        raise FaultError(f"{option} {text!r}: say a number and one of {' '.join(units)}, e.g. {example}")
    return float(found[1]) * units[found[2]]
