"""How often many things are looked at: a few at every step, a thousand twice a second."""

import time
from dataclasses import dataclass

LOOKS_PER_S = 2_000
"""Of one kind: leases, cards or streams. A look costs some 5 µs, so that this is 1% of a core."""
AT_ONCE = 200
"""So many are looked at in every step."""
SELDOM_S = 1.0
"""The longest between two looks: a third of a lease."""


def pause_s(count: int) -> float:
    """How long after a look at so many things the next one is due."""
    return min(SELDOM_S, count / LOOKS_PER_S) if count > AT_ONCE else 0.0


@dataclass(slots=True)
class Pace:
    """When the next look is due, on the monotonic clock."""

    next_s: float = 0.0

    def due(self, count: int) -> bool:
        """Whether to look at so many things now; if so, the next look is due a while later."""
        now_s = time.monotonic()
        if now_s < self.next_s:
            return False
        self.next_s = now_s + pause_s(count)
        return True

    def hurry(self) -> None:
        """There was more than one look took in: the next is due at once."""
        self.next_s = 0.0
