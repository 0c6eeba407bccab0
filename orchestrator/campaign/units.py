"""Quantities and names as a person writes them: CAMPAIGN.md section 2.

Text comes in, base units go out: seconds, per second, fraction 0..1, bytes. Decimal arithmetic, so that
`250ms` is the same float as 0.25.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

DURATION_UNITS: Final[Mapping[str, Decimal]] = MappingProxyType(
    {
        "us": Decimal("1e-6"),
        "ms": Decimal("1e-3"),
        "s": Decimal(1),
        "m": Decimal(60),
        "h": Decimal(3600),
        "d": Decimal(86400),
    }
)
RATE_UNITS: Final[Mapping[str, Decimal]] = MappingProxyType(
    {"/s": Decimal(3600), "/min": Decimal(60), "/h": Decimal(1)}
)
# Rates are read per hour, where each unit is a whole number, and divided once: 90/min is exactly 1.5/s.
SECONDS_OF_HOUR: Final = 3600
SIZE_UNITS: Final[Mapping[str, Decimal]] = MappingProxyType(
    {
        "B": Decimal(1),
        "KiB": Decimal(1024),
        "MiB": Decimal(1024**2),
        "GiB": Decimal(1024**3),
        "TiB": Decimal(1024**4),
        "kB": Decimal(10**3),
        "MB": Decimal(10**6),
        "GB": Decimal(10**9),
        "TB": Decimal(10**12),
    }
)
NUMBER: Final = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
DURATION_PATTERN: Final = rf"^{NUMBER}(us|ms|s|m|h|d)$"
RATE_PATTERN: Final = rf"^{NUMBER}/(s|min|h)$"
PERCENT_PATTERN: Final = rf"^{NUMBER}%$"
SIZE_PATTERN: Final = rf"^{NUMBER}({'|'.join(SIZE_UNITS)})$"
NAME_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
LABEL_PATTERN: Final = r"^[A-Za-z0-9._/=-]{1,63}$"
CURRENCY_PATTERN: Final = "^[A-Z]{3}$"
FAILURE_PATTERN: Final = r"^(connect|reset|timeout|incomplete|invalid|http_[1-5](xx|[0-9]{2}))$"
TIME_PATTERN: Final = "^([01][0-9]|2[0-3]):[0-5][0-9]$"

# What people write for a unit: the one that is meant.
_SPELLED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sec": "s",
        "secs": "s",
        "min": "m",
        "mins": "m",
        "hr": "h",
        "µs": "us",
        "rps": "/s",
        "qps": "/s",
        "/sec": "/s",
    }
    | {
        "/m": "/min",
        "KB": "kB",
        "K": "KiB",
        "M": "MiB",
        "G": "GiB",
        "T": "TiB",
        "k": "kB",
        "mb": "MB",
        "gb": "GB",
    }
)

_QUANTITY: Final = re.compile(rf"({NUMBER})(\S*)")


class UnitError(ValueError):
    """A quantity or name is not written as CAMPAIGN.md section 2 asks; `hint` says how."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def duration_s(value: object) -> float:
    """Seconds of `1.5s`, `250ms`, `10m`; above 0. Raises UnitError."""
    seconds = duration_or_zero_s(value)
    if seconds <= 0:
        raise UnitError("must be longer than 0s")
    return seconds


def duration_or_zero_s(value: object) -> float:
    """Seconds, `0s` allowed. Raises UnitError."""
    return _quantity(value, DURATION_UNITS, example="10s", what="a duration")


def rate_per_s(value: object) -> float:
    """Per second of `60/s`, `90/min`, `1000/h`; above 0. Raises UnitError."""
    per_hour = _quantity(value, RATE_UNITS, example="10/s", what="a rate")
    if per_hour <= 0:
        raise UnitError("must be above 0/s")
    return per_hour / SECONDS_OF_HOUR


def percent(value: object) -> float:
    """Fraction 0..1 of `99.9%`. Raises UnitError."""
    share = _quantity(value, {"%": Decimal("0.01")}, example="10%", what="a percentage")
    if share > 1:
        raise UnitError("must be at most 100%")
    return share


def size_bytes(value: object) -> int:
    """Bytes of `64MiB` (powers of 1024) or `64MB` (powers of 1000), rounded down. Raises UnitError."""
    return int(_quantity(value, SIZE_UNITS, example="10MiB", what="a size"))


def name(value: object) -> str:
    """A name: `[a-z0-9]` and `-`, at most 63, no `-` at the ends. Raises UnitError."""
    text = _text(value)
    if not re.fullmatch(NAME_PATTERN, text):
        suggestion = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-")
        hint = f"say {suggestion}" if suggestion else ""
        raise UnitError(f"{_shown(text)} is no name: a-z, 0-9 and - inside, at most 63 characters", hint)
    return text


def label(value: object) -> str:
    """A worker's label: `[A-Za-z0-9._/=-]`, at most 63. Raises UnitError."""
    text = _text(value)
    if not re.fullmatch(LABEL_PATTERN, text):
        raise UnitError(f"{_shown(text)} is no label: A-Z, a-z, 0-9 and . _ / = -, at most 63 characters")
    return text


def currency(value: object) -> str:
    """A currency's code: three capital letters. Raises UnitError."""
    text = _text(value)
    if not re.fullmatch(CURRENCY_PATTERN, text):
        capitals = text.upper()
        hint = f"say {capitals if re.fullmatch(CURRENCY_PATTERN, capitals) else 'EUR'}"
        raise UnitError(f"{_shown(text)} is no currency: three capital letters", hint)
    return text


def samples(value: object) -> float:
    """The share of requests to keep: `none` is 0, `all` is 1, else a percentage. Raises UnitError."""
    if value in ("none", "all"):
        return float(value == "all")
    try:
        return percent(value)
    except UnitError as error:
        raise UnitError(f"must be none, all or a percentage: {error.message}", error.hint) from None


def duration_text(seconds: float) -> str:
    """0.25 -> `250ms`: the largest unit, up to minutes, in which it is a whole number."""
    exact = Decimal(str(seconds))
    for unit in ("m", "s", "ms", "us"):
        count = exact / DURATION_UNITS[unit]
        if count == count.to_integral_value() and (count or unit == "s"):
            return f"{int(count)}{unit}"
    return f"{exact:f}s"


def percent_text(share: float) -> str:
    """0.999 -> `99.9%`."""
    return f"{(Decimal(str(share)) * 100).normalize():f}%"


def _quantity(value: object, units: Mapping[str, Decimal], *, example: str, what: str) -> float:
    known = " ".join(units)
    if isinstance(value, bool) or value is None or isinstance(value, list | dict):
        raise UnitError(f"must be {what}", f"say {example}")
    if isinstance(value, int | float):
        unit = re.sub(r"[0-9.]+", "", example)
        raise UnitError("a bare number has no unit", f"say {value}{unit}" if value >= 0 else f"say {example}")
    text = str(value)
    if text.startswith("-") and re.fullmatch(rf"-{NUMBER}\s*\S*", text):
        raise UnitError(f"{_shown(text)} is negative; it must not be", f"say {example}")
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise UnitError(f"{_shown(text)} is not {what}", _meant(text, units) or f"say {example}")
    number, unit = found[1], found[2]
    if unit not in units:
        said = f"unit {unit!r} is not one of {known}" if unit else "a bare number has no unit"
        with_unit = number + re.sub(r"[0-9.]+", "", example)
        raise UnitError(said, _meant(text, units) or f"say {example if unit else with_unit}")
    return float(Decimal(number) * units[unit])


def _meant(text: str, units: Mapping[str, Decimal]) -> str:
    """A hint that says the quantity as it was probably meant; empty where that is not known."""
    squeezed = "".join(text.split())
    if squeezed != text and (found := _QUANTITY.fullmatch(squeezed)) and found[2] in units:
        return f"no blank: say {squeezed}"
    if (found := re.fullmatch(r"([0-9]+),([0-9]+)(\S+)", text)) and found[3] in units:
        return f"no comma: say {found[1]}.{found[2]}{found[3]}"
    if (found := _QUANTITY.fullmatch(squeezed)) and _SPELLED.get(found[2]) in units:
        return f"say {found[1]}{_SPELLED[found[2]]}"
    parts = re.findall(r"([0-9]{1,9})([a-z]+)", text)
    if len(parts) > 1 and "".join(f"{a}{b}" for a, b in parts) == text and {b for _, b in parts} <= {*units}:
        total = sum(Decimal(number) * units[unit] for number, unit in parts) / units[parts[-1][1]]
        return f"one unit: say {total.normalize():f}{parts[-1][1]}"
    return ""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UnitError("must be text", f'write it in quotes: "{value}"' if value is not None else "")
    return value


def _shown(text: str) -> str:
    """The text in quotes, cut so that a message stays one line."""
    limit = 60
    return repr(text if len(text) <= limit else text[:limit] + "…")
