"""Counts over a trailing span of time, in slices: as much memory at any rate. Pure."""

from collections import deque

SLICES = 100
"""A span is forgotten a hundredth at a time."""


class Trailing:
    """How often something happened in the last `span_ns`, and how often of two kinds; up to a slice more."""

    __slots__ = ("_slice_ns", "_slices", "_span_ns", "marked", "total")

    def __init__(self, span_ns: int) -> None:
        self._span_ns = span_ns
        self._slice_ns = max(span_ns // SLICES, 1)
        self._slices: deque[list[int]] = deque()
        self.total = 0
        self.marked = 0

    def add(self, now_ns: int, *, marked: int = 0) -> None:
        """It happened now; `marked` 1 for the kind that is counted apart."""
        self.forget(now_ns)
        if not self._slices or now_ns >= self._slices[-1][0] + self._slice_ns:
            self._slices.append([now_ns, 0, 0])
        last = self._slices[-1]
        last[1] += 1
        last[2] += marked
        self.total += 1
        self.marked += marked

    def forget(self, now_ns: int) -> None:
        """Drop what is older than the span."""
        while self._slices and self._slices[0][0] < now_ns - self._span_ns:
            _, total, marked = self._slices.popleft()
            self.total -= total
            self.marked -= marked

    def clear(self) -> None:
        """Forget everything."""
        self._slices.clear()
        self.total = self.marked = 0
