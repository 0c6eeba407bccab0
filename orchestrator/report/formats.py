"""Numbers as a reader wants them: a unit that fits, three digits that matter, no exponents."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import floor, log10
from typing import Any

ABSENT = "–"
"""Stands where nothing was measured."""

_BYTES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
_IDLE_ZEROS = re.compile(r"(\d+)(?:\.0+|(\.\d*?[1-9])0+)(?!\d)")
_TIMES = ((7200.0, 3600.0, "h"), (120.0, 60.0, "min"), (1.0, 1.0, "s"), (1e-3, 1e-3, "ms"), (0.0, 1e-6, "µs"))


def significant(value: float, digits: int = 3) -> str:
    """12345.6 -> "12,346", 0.04127 -> "0.0413": digits that matter, thousands grouped, never an exponent."""
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - floor(log10(abs(rounded(value, digits)))))
    return f"{value:,.{decimals}f}"


def rounded(value: float, digits: int = 3) -> float:
    """A value cut to so many digits that matter."""
    return float(f"{value:.{digits - 1}e}") if value else 0.0


def duration(value_s: float | None) -> str:
    """0.0413 -> "41.3 ms", 75 -> "75.0 s", 5400 -> "90.0 min"; a dash where there is none."""
    if value_s is None:
        return ABSENT
    if value_s == 0:
        return "0 s"
    size = abs(rounded(value_s))
    _, scale, unit = next(row for row in _TIMES if size >= row[0])
    return f"{significant(value_s / scale)} {unit}"


def share(value: float | None) -> str:
    """0.9985 -> "99.85%": as many digits as tell it from 0% and from 100%."""
    if value is None:
        return ABSENT
    if value > 1.1:
        return f"{significant(value * 100)}%"
    distance = min(abs(value), abs(1 - value))
    digits = 0 if distance < 1e-9 else max(1, min(5, 1 - floor(log10(distance * 100))))
    text = f"{value * 100:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def rate(value_per_s: float | None) -> str:
    """59.87 -> "59.9/s"."""
    return ABSENT if value_per_s is None else f"{significant(value_per_s)}/s"


def number(value: float | None) -> str:
    """12000 -> "12,000"; fractions keep three digits that matter."""
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if float(value).is_integer() else significant(value)


def size(value_bytes: float | None) -> str:
    """3221225472 -> "3 GiB"."""
    if value_bytes is None:
        return ABSENT
    for unit, scale in _BYTES:
        if abs(value_bytes) >= scale:
            return f"{significant(value_bytes / scale)} {unit}"
    return f"{value_bytes:,.0f} B"


def quantity(value: float | None, unit: str) -> str:
    """A value in a base unit of `orchestrator.slo.names` as a person says it."""
    if value is None:
        return ABSENT
    match unit:
        case "s":
            return duration(value)
        case "fraction":
            return share(value)
        case "B":
            return size(value)
        case "/s":
            return rate(value)
        case "":
            return number(value)
        case "requests":
            return f"{number(value)} request{'' if value == 1 else 's'}"
        case "J" | "W":
            return f"{significant(value)} {unit}"
        case _:
            return f"{significant(value, 4)} {unit}"


def plain(text: str) -> str:
    """The same number without idle zeros, for bounds and axes: "1.20 s" -> "1.2 s", "50.0/s" -> "50/s"."""
    return _IDLE_ZEROS.sub(r"\1\2", text)


def clock(common_s: float | None) -> str:
    """A time of the common clock as HH:MM:SS in UTC."""
    return ABSENT if common_s is None else datetime.fromtimestamp(common_s, UTC).strftime("%H:%M:%S")


def moment(iso: str | None) -> str:
    """2026-11-22T10:00:00.000Z -> "22 Nov 2026, 10:00:00 UTC"."""
    if iso is None:
        return ABSENT
    when = datetime.fromisoformat(iso)
    return f"{when.day} {when.strftime('%b %Y, %H:%M:%S')} UTC"


def after(value_s: float | None) -> str:
    """Seconds since a phase's start: 15.04 -> "+15.0 s"."""
    return ABSENT if value_s is None else f"{value_s:+,.1f} s"


def fault_names(faults: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each fault of report.json is called in a table: those of one activity by their number.

    Reports of before an activity could have several know neither number nor strength.
    """
    several = {one["activity"] for one in faults if one.get("step", 1) > 1}
    return [
        one["name"]
        + (f" {one['step']}" if one["activity"] in several else "")
        + (f" at {share(one['intensity'])}" if one.get("intensity", 1) < 1 else "")
        for one in faults
    ]
