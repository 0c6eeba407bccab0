"""What a worker has to say, kept in order until Redis holds it: facts and snapshots, bounded in bytes.

One queue, so an attempt's `exited` arrives after its last snapshot. What was sent stays until the leader's
checkpoint holds it, for a Sentinel failover can lose acknowledged writes: then everything kept is sent again.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.contract.broker import names

MOST_BYTES = 64 * 1024 * 1024
"""Over an hour of snapshots of one engine; beyond it the oldest are given up, and the hole is seen."""

KEPT_FOR_S = 30.0
"""Longer than a failover takes: a checkpoint that one server held may be missing on the next."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Item:
    """A fact (`seq` 0; `id` is the fact's) or snapshot `seq` of an attempt (`id` is the stream's)."""

    campaign: str
    attempt: str
    stream: str
    id: str
    seq: int
    body: bytes

    @property
    def size_bytes(self) -> int:
        """Room it takes, near enough."""
        return len(self.body) + 200


class Outbox:
    """A queue with a memory: `unsent` in order, and `kept` of what was sent and may be needed again."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._unsent: deque[Item] = deque()
        self._kept: deque[Item] = deque()
        self._changed = threading.Condition()
        self.given_up = 0

    def put(self, item: Item) -> None:
        """Add one to be sent; makes room by forgetting what was sent first, then by giving up the oldest."""
        with self._changed:
            self._unsent.append(item)
            self._bytes += item.size_bytes
            while self._bytes > self._most_bytes and self._make_room():
                pass
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> Item | None:
        """Return the next one to send, waiting for it; it stays until `sent` says so."""
        with self._changed:
            if not self._unsent:
                self._changed.wait(timeout_s)
            return self._unsent[0] if self._unsent else None

    def sent(self, item: Item) -> None:
        """Redis has this one, or refused it for good: keep it from now on only for a failover."""
        with self._changed:
            if self._unsent and self._unsent[0] is item:
                self._kept.append(self._unsent.popleft())
            self._changed.notify_all()

    def forget(self, attempt: str, *, campaign: str, up_to_seq: int) -> None:
        """A checkpoint holds the attempt's snapshots up to this one."""
        with self._changed:
            self._drop(
                lambda item: (
                    (item.campaign, item.attempt) == (campaign, attempt) and 0 < item.seq <= up_to_seq
                )
            )

    def forget_campaign(self, campaign: str) -> None:
        """Nobody will ask for anything of this campaign again."""
        with self._changed:
            self._drop(lambda item: item.campaign == campaign)

    def first(self) -> Item | None:
        """The next one to send, if there is one."""
        with self._changed:
            return self._unsent[0] if self._unsent else None

    def attempts(self) -> dict[str, tuple[str, ...]]:
        """Campaign -> attempts of which something is held, sent or not."""
        with self._changed:
            pairs = dict.fromkeys((item.campaign, item.attempt) for item in (*self._kept, *self._unsent))
        found: dict[str, tuple[str, ...]] = {}
        for campaign, attempt in pairs:
            found[campaign] = (*found.get(campaign, ()), attempt)
        return found

    def send_again(self) -> None:
        """Redis may have lost what it had acknowledged: everything kept goes first in the queue again."""
        with self._changed:
            self._unsent = deque([*self._kept, *self._unsent])
            self._kept.clear()
            self._changed.notify_all()

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until all is sent; False where it is not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._unsent, timeout_s)

    def _drop(self, drop: Callable[[Item], bool]) -> None:
        before = sum(item.size_bytes for item in self._kept)
        self._kept = deque(item for item in self._kept if not drop(item))
        self._bytes -= before - sum(item.size_bytes for item in self._kept)

    def _make_room(self) -> bool:
        """Let go of one; never of an unsent fact: it is small, and without it an attempt has no end."""
        if self._kept:
            gone = self._kept.popleft()
        else:
            place = next((place for place, item in enumerate(self._unsent) if item.seq), None)
            if place is None:
                return False
            gone = self._unsent[place]
            del self._unsent[place]
            self._give_up(gone)
        self._bytes -= gone.size_bytes
        return True

    def _give_up(self, gone: Item) -> None:
        self.given_up += 1
        if self.given_up.bit_count() == 1:  # the 1st, 2nd, 4th, 8th...
            log.error(
                "Redis has been away for so long that %d snapshots were given up, the last one %s of %s: "
                "what they counted is unknown",
                self.given_up,
                gone.id,
                gone.campaign,
            )


@dataclass(slots=True)
class Settled:
    """What a server says, and when: campaign -> attempt -> last seq of a checkpoint; None: it is over."""

    said: deque[tuple[float, Mapping[str, Mapping[str, int] | None]]] = field(default_factory=deque)

    def look(self, outbox: Outbox, client: Any) -> None:
        """Let go of what a checkpoint holds, and of campaigns that have ended or that Redis has forgotten."""
        durable: dict[str, dict[str, int] | None] = {}
        for campaign, attempts in outbox.attempts().items():
            claims = names.claims(campaign)
            if not client.exists(claims) or client.hexists(claims, names.CLOSED):
                durable[campaign] = None
                continue
            seqs = client.hmget(names.durable(campaign), list(attempts))
            durable[campaign] = {
                attempt: int(seq) for attempt, seq in zip(attempts, seqs, strict=True) if seq is not None
            }
        self.forget(outbox, durable)

    def forget(self, outbox: Outbox, durable: Mapping[str, Mapping[str, int] | None]) -> None:
        """Note what it says now, and let the outbox forget what it said `KEPT_FOR_S` ago."""
        now_s = time.monotonic()
        self.said.append((now_s, durable))
        while self.said and now_s - self.said[0][0] >= KEPT_FOR_S:
            _, before = self.said.popleft()
            for campaign, seqs in before.items():
                if seqs is None:
                    if durable.get(campaign, {}) is None:
                        outbox.forget_campaign(campaign)
                    continue
                for attempt, seq in seqs.items():
                    outbox.forget(attempt, campaign=campaign, up_to_seq=seq)
