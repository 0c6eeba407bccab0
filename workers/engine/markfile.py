"""The engine's shared-memory file: what it has done so far, readable after it was killed at any moment.

A memory-mapped array of 64-bit words. Header, table of outcome names, ids of the bounds as JSON, then a ring
of slots, one a second of intended time, each with two cells (judged, warm-up) of cumulative counters:
arrivals handed to a user, sent, given up unsent, then one counter an outcome and three a bound.
"""

import json
import mmap
import os
from collections.abc import Sequence
from pathlib import Path

from workers.contract.bounds import Bound
from workers.contract.errors import HostError
from workers.contract.snapshot import WARMUP
from workers.engine.arrival import Arrival

MAGIC = 0x5348414B454F5554
WORD = 8
OUTCOMES = 32
NAME_BYTES = 32
NAMES_AT = 16
IDS_AT = NAMES_AT + OUTCOMES * NAME_BYTES // WORD

MAGIC_AT, SLOTS_AT, WIDTH_AT, RING_AT, DISPATCHED_AT, LAST_SEQ_AT = 0, 1, 2, 3, 4, 5
WRITING_AT, NAMES_USED_AT, IDS_BYTES_AT, BOUNDS_AT, MISSED_AT = 6, 7, 8, 9, 10
"""Words of the header. WRITING: cell (1 + its first word) of the request whose first byte is just being
written, else 0. MISSED: counts whose slot already belonged to a later second."""
HANDED, SENT, NEVER_SENT, OUTCOME_0 = 0, 1, 2, 3
BOUND_0 = OUTCOME_0 + OUTCOMES
SPARE_SECONDS = 64
"""Ring beyond twice the timeout (once in line, once in flight): room for a dispatcher that lags."""
OTHER = "other"
"""Name of the last slot: outcomes beyond the table's room."""


def ring_slots(timeout_s: float) -> int:
    """Seconds that the file and the supervisor's tally keep: none older has a request in flight."""
    return int(2 * timeout_s) + SPARE_SECONDS


class MarkFile:
    """Write side; each method is a few stores into memory, in an order that is true at every instant.

    An arrival is `handed` first; its cell stays its own, because the ring is longer than any arrival's life.
    Raises HostError where the file cannot be made or the disk has no room for it.
    """

    __slots__ = ("_cells", "_map", "_outcomes", "_q", "_ring", "_slots", "_width")

    def __init__(self, path: str, *, bounds: Sequence[Bound], timeout_s: float) -> None:
        ids = json.dumps([bound.id for bound in bounds]).encode()
        ring = IDS_AT + -(-len(ids) // WORD)
        self._ring = ring
        self._slots = ring_slots(timeout_s)
        self._cells = BOUND_0 + 3 * len(bounds)
        self._width = 1 + 2 * self._cells
        size = (ring + self._slots * self._width) * WORD
        self._map = _allocated(path, size)
        self._map[IDS_AT * WORD : IDS_AT * WORD + len(ids)] = ids
        self._q = memoryview(self._map).cast("q")
        self._outcomes: dict[str, int] = {}
        for at, value in (
            (SLOTS_AT, self._slots), (WIDTH_AT, self._width), (RING_AT, ring), (IDS_BYTES_AT, len(ids)),
            (BOUNDS_AT, len(bounds)), (MAGIC_AT, MAGIC),
        ):  # fmt: skip
            self._q[at] = value

    def handed(self, arrival: Arrival, following: int) -> None:
        """A user has the arrival, or it was given up in line; none from `following` on was."""
        arrival.cell = cell = self._cell(arrival)
        self._q[cell + HANDED] += 1
        self._q[DISPATCHED_AT] = following

    def writing(self, arrival: Arrival) -> None:
        """The first byte is about to be written."""
        self._q[WRITING_AT] = arrival.cell + 1

    def unwritten(self) -> None:
        """The write that was begun failed: no byte left."""
        self._q[WRITING_AT] = 0

    def sent(self, arrival: Arrival) -> None:
        """The first byte was written."""
        q = self._q
        q[arrival.cell + SENT] += 1
        q[WRITING_AT] = 0

    def ended(self, arrival: Arrival, outcome: str, counts: Sequence[tuple[int, int, int]]) -> None:
        """The arrival is over, with what it adds to each bound."""
        q, cell = self._q, arrival.cell
        place = self._outcomes.get(outcome)
        if place is None:
            place = self._outcome(outcome)
        q[cell + OUTCOME_0 + place] += 1
        if not arrival.sent_ns:
            q[cell + NEVER_SENT] += 1
        at = cell + BOUND_0
        for n, over, less in counts:
            if n:
                q[at] += n
                if over:
                    q[at + 1] += over
                    q[at + 2] += less
            at += 3

    def last_seq(self, seq: int) -> None:
        """Snapshot `seq` was handed to the pipe."""
        self._q[LAST_SEQ_AT] = seq

    def _cell(self, arrival: Arrival) -> int:
        """First word of an arrival's cell; a slot of the past is cleared for its new second."""
        second = arrival.at_ns // 1_000_000_000
        slot = self._ring + second % self._slots * self._width
        if self._q[slot] != second + 1:
            self._turn(slot, second)
        return slot + 1 + (self._cells if arrival.groups[0] == WARMUP else 0)

    def _turn(self, slot: int, second: int) -> None:
        """Give a slot of the past to this second; one that belongs to a later second stays with it."""
        if self._q[slot] > second + 1:
            self._q[MISSED_AT] += 1
        else:
            self._q[slot : slot + self._width] = memoryview(bytes(self._width * WORD)).cast("q")
            self._q[slot] = second + 1

    def _outcome(self, outcome: str) -> int:
        """The place of an outcome that is new here."""
        place = min(len(self._outcomes), OUTCOMES - 1)
        self._outcomes[outcome] = place
        name = outcome if place < OUTCOMES - 1 else OTHER
        at = (NAMES_AT * WORD) + place * NAME_BYTES
        self._map[at : at + NAME_BYTES] = name.encode()[:NAME_BYTES].ljust(NAME_BYTES, b"\0")
        self._q[NAMES_USED_AT] = place + 1
        return place


def _allocated(path: str, size_bytes: int) -> mmap.mmap:
    """A new file of zeros, in memory, with every block taken: a hole is a SIGBUS once the disk is full."""
    try:
        with Path(path).open("w+b") as file:
            os.posix_fallocate(file.fileno(), 0, size_bytes)
            return mmap.mmap(file.fileno(), size_bytes)
    except OSError as error:
        raise HostError(
            f"cannot keep the engine's counts, {size_bytes:,} bytes in {path}: {error.strerror};"
            " make room there, or set SHAKEOUT_HOME to another folder"
        ) from error
