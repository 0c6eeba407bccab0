"""Until when an attempt begins anything: to its end, or to the moment at which a successor takes over."""

import sys
from dataclasses import dataclass

NEVER_NS = sys.maxsize
SURE_NS = 1_000
"""Past now: what was due until this moment may be on its way already, however a clock was rounded."""


@dataclass(slots=True)
class Until:
    """Nothing intended at `at_ns` of the phase or later is begun; answers and later turns are waited for."""

    at_ns: int = NEVER_NS

    @property
    def is_set(self) -> bool:
        """Whether a successor takes over."""
        return self.at_ns != NEVER_NS

    def promise(self, wanted_ns: int, *, now_ns: int) -> int:
        """The moment that holds: the one asked for, or now where that is past; once given it stays."""
        if not self.is_set:
            self.at_ns = max(wanted_ns, now_ns + SURE_NS)
        return self.at_ns
