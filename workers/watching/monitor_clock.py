"""A monitor's clock against the common one, from what it says of its own time.

Each answer bounds the offset from both sides: the monitor's time was taken after the request was sent and
before the answer came. All bounds of the last minute hold together, so that even a Date header, which counts
whole seconds, soon tells tenths.
"""

from collections import deque
from dataclasses import dataclass, field

KEEP = 60
"""Readings that are held together: a minute's, in which clocks do not drift by a millisecond."""
SLACK_S = 0.001
"""A monitor's times are rounded to milliseconds."""


@dataclass(slots=True)
class MonitorClock:
    """Bounds of (the monitor's time − common time), seconds; `bounds`: (least, greatest) of each reading."""

    bounds: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=KEEP))

    def heard(self, said_s: float, *, sent_s: float, came_s: float, step_s: float = SLACK_S) -> None:
        """The monitor said `said_s`, cut to whole `step_s`, between common times `sent_s` and `came_s`."""
        self.bounds.append((said_s - came_s, said_s + step_s - sent_s))
        low, high = self._held()
        if low > high:  # its clock was set: what was heard before says nothing any more
            last = self.bounds[-1]
            self.bounds.clear()
            self.bounds.append(last)

    @property
    def known(self) -> bool:
        """Whether anything is known."""
        return bool(self.bounds)

    @property
    def offset_s(self) -> float:
        """Its time minus common time; 0.0 while nothing is known."""
        low, high = self._held()
        return (low + high) / 2 if self.bounds else 0.0

    @property
    def uncertainty_s(self) -> float:
        """How far off `offset_s` may be."""
        low, high = self._held()
        return max(0.0, (high - low) / 2) if self.bounds else 0.0

    def common(self, at_s: float) -> float:
        """A time of the monitor's as common time; 0.0 stays 0.0, which is none."""
        return at_s - self.offset_s if at_s else 0.0

    def _held(self) -> tuple[float, float]:
        bounds = tuple(self.bounds)  # one thread adds to them, others read
        return max((low for low, _ in bounds), default=0.0), min((high for _, high in bounds), default=0.0)
