"""The effect that a proxy holds now, whom it is for, and how it is spread over what passes.

Everything drawn follows from the effect's seed and the connection's number, so that the same traffic is
treated the same again.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from workers.chaos.network.proxy_wire import Counts, Effect
from workers.chaos.processes import boot_s


@dataclass(slots=True)
class Hold:
    """One effect in force, from its injection to its end.

    `counts`: what it did. `over`: set as it ends, for all that waits on its account. `free_s`: by direction,
    until when the thin link is busy, on the loop's clock.
    """

    effect: Effect
    counts: Counts = field(default_factory=Counts)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    free_s: dict[str, float] = field(default_factory=dict)

    def takes(self, number: int) -> bool:
        """Whether the share of what passes that it is for holds this one."""
        return draw(self.effect.seed, "share", number).random() < self.effect.share

    def goes(self, way: str) -> bool:
        """Whether it is for this direction, `up` or `down`."""
        return self.effect.direction in ("both", way)

    @property
    def delays(self) -> bool:
        """Whether it does something to bytes that pass: later, slower, in pieces."""
        effect = self.effect
        return bool(effect.latency_s or effect.jitter_s or effect.rate_bytes_per_s or effect.slice_bytes)

    def delay_s(self, dice: random.Random) -> float:
        """How much later the next bytes of one direction arrive: of both directions, half of it each way."""
        ways = 2 if self.effect.direction == "both" else 1
        jitter_s = dice.uniform(-self.effect.jitter_s, self.effect.jitter_s)
        return max(0.0, (self.effect.latency_s + jitter_s) / ways)


def draw(seed: int, what: str, number: int) -> random.Random:
    """The dice of one thing of one connection."""
    return random.Random(f"{seed}/{what}/{number}")  # spreads faults, guards nothing


class Holder:
    """Holds one effect at a time, or none; `changed` is told of each beginning (the hold) and end (None)."""

    def __init__(self, changed: Callable[[Hold | None], None]) -> None:
        self._changed = changed
        self.now: Hold | None = None
        self.last, self.last_key = Counts(), ""
        self._ends: asyncio.TimerHandle | None = None

    def inject(self, effect: Effect) -> str:
        """Hold this effect; why not, in words, where another is held or its time is over."""
        if self.now is not None:
            held = self.now.effect.key
            return "" if held == effect.key else f"it holds another fault ({held}) already"
        if effect.until_s <= boot_s():
            return "the fault's time is over"
        self.now = Hold(effect)
        self.last, self.last_key = self.now.counts, effect.key
        self._await_end()
        self._changed(self.now)
        return ""

    def clear(self, key: str = "") -> None:
        """Let go of the effect with this key; of any without one."""
        if self.now is None or key not in ("", self.now.effect.key):
            return
        over, self.now = self.now, None
        if self._ends is not None:
            self._ends.cancel()
        over.over.set()
        self._changed(None)

    def _await_end(self) -> None:
        """Let go at its time limit, looking often: the loop's clock stands still while the host sleeps."""
        if self.now is None:
            return
        rest_s = self.now.effect.until_s - boot_s()
        if rest_s <= 0:
            self.clear()
            return
        self._ends = asyncio.get_running_loop().call_later(min(rest_s, 0.5), self._await_end)
