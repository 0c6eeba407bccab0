"""Where a value stands on an axis, and which values are written beside it. Pure."""

from dataclasses import dataclass
from math import ceil, floor, log10

_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_LOG_FROM = 20.0
"""Values that span more than this factor are easier to read on a logarithmic axis."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high` (low < high; above 0 where `log`), with the values that are labelled."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def place(self, value: float) -> float:
        """0 at `low` to 1 at `high`; values beyond are put at the edge."""
        if self.log:
            share = (log10(max(value, self.low)) - log10(self.low)) / (log10(self.high) - log10(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, share))


def from_zero(values: list[float], *, most: int = 4) -> Axis:
    """A linear axis from 0 that holds all values, with round labels."""
    high = max([*values, 0.0]) or 1.0
    step = _round_step(high / most)
    count = ceil(high / step - 1e-9)
    return Axis(0.0, count * step, tuple(step * i for i in range(count + 1)))


def fitting(values: list[float]) -> Axis:
    """From 0 where the values are alike, logarithmic where the largest is more than 20 times the smallest."""
    positive = [value for value in values if value > 0]
    if positive and max(positive) > _LOG_FROM * min(positive):
        return logarithmic(positive)
    return from_zero(values)


def logarithmic(values: list[float]) -> Axis:
    """A logarithmic axis that holds all positive values, labelled at 1, 2, 5 of a decade."""
    low, high = min(values), max(values)
    start, end = floor(log10(low)), ceil(log10(high))
    digits = (1,) if end - start > 2 else (1, 2, 5)
    marks = [digit * 10.0**power for power in range(start, end + 1) for digit in digits]
    # 10.0**-5 is not exactly 0.00001: a value on a decade counts as on its mark
    below = [mark for mark in marks if mark <= low * (1 + 1e-9)]
    above = [mark for mark in marks if mark >= high * (1 - 1e-9)]
    bottom, top = max(below), min(above)
    if bottom == top:
        top = bottom * 10
    return Axis(bottom, top, tuple(mark for mark in marks if bottom <= mark <= top), log=True)


def seconds(from_s: float, until_s: float, *, most: int = 6) -> Axis:
    """A time axis in seconds, labelled at whole seconds, minutes or hours."""
    until_s = max(until_s, from_s + 1)
    step = next((one for one in _TIME_STEPS if (until_s - from_s) / one <= most), _TIME_STEPS[-1])
    first = ceil(from_s / step)
    return Axis(from_s, until_s, tuple(float(step * i) for i in range(first, floor(until_s / step) + 1)))


def clock_label(value_s: float, axis: Axis) -> str:
    """A second of the phase as 0:05, 12:30 or 3:20:00."""
    whole = round(value_s)
    hours, rest = divmod(abs(whole), 3600)
    text = (
        f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if axis.high >= 3600 else f"{rest // 60}:{rest % 60:02d}"
    )
    return f"-{text}" if whole < 0 else text


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** floor(log10(least))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least * (1 - 1e-9))
