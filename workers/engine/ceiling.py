"""The operator's rate ceiling on a target, kept by the engine itself whatever the schedule says. Pure.

A leaky bucket (GCRA, ITU-T I.371): on average never above the ceiling, with room for random bunches.
"""

from dataclasses import dataclass

BURST_S = 10.0
"""Requests of this long at the ceiling may come at once: Poisson arrivals at just the ceiling pass."""


@dataclass(slots=True)
class Ceiling:
    """At most `per_s` requests a second; None is no ceiling. Times in ns of any steady clock."""

    per_s: float | None
    full_at_ns: int = 0

    def admits(self, now_ns: int) -> bool:
        """Take one request's room if there is any; False, taking nothing, where there is none."""
        if self.per_s is None:
            return True
        if self.wait_ns(now_ns):
            return False
        self.full_at_ns = max(self.full_at_ns, now_ns) + round(1e9 / self.per_s)
        return True

    def wait_ns(self, now_ns: int) -> int:
        """How long until there is room for one more; 0 if there is."""
        if self.per_s is None:
            return 0
        burst_ns = max(BURST_S, 1 / self.per_s) * 1e9
        return max(round(self.full_at_ns + 1e9 / self.per_s - now_ns - burst_ns), 0)
