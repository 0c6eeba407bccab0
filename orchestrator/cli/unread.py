"""What people say on its way to whoever watches: told once the leader has read it, and not where it refused.

A word stands in the journal before anybody has looked at whose key it is. What is refused is told by the
refusal alone, so that nobody who watches takes it for said.
"""

import time
from dataclasses import dataclass, field
from typing import Final

from orchestrator.store.entries import Entry
from workers.contract import facts as f

MARGIN_S: Final = 0.1
"""A picture of so much later than a word was made after the journal was read up to that word."""
UNREAD_S: Final = 3.0
"""With nobody who leads, words are told as they are after so long."""


@dataclass(slots=True)
class Unread:
    """`held`: entries in order, each with when it was seen (monotonic); the first is a word that waits."""

    held: list[tuple[float, Entry]] = field(default_factory=list)

    def hear(self, entries: list[Entry], *, read_s: float) -> list[f.Fact]:
        """What may be told now, in order; `read_s`: up to when the leader has surely read, common time."""
        now = time.monotonic()
        self.held.extend((now, entry) for entry in entries)
        refused = {(one.fact.by, one.fact.at_s) for _, one in self.held if isinstance(one.fact, f.Refused)}
        over = any(isinstance(one.fact, f.Ended) for _, one in self.held)
        told: list[f.Fact] = []
        while self.held:
            seen, entry = self.held[0]
            came_s = _came_s(entry)
            waits = not over and read_s <= came_s + MARGIN_S and now - seen < UNREAD_S
            if isinstance(entry.fact, f.WORDS):
                is_refused = (entry.fact.by, came_s) in refused
                if waits and not is_refused:
                    break
                told.extend(() if is_refused else (entry.fact,))
            else:
                told.append(entry.fact)
            del self.held[0]
        return told


def _came_s(entry: Entry) -> float:
    """When Redis took it in, as refusals name it."""
    return float(entry.id.partition("-")[0]) / 1000
