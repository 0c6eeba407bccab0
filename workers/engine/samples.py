"""Keeps single requests: each that is picked becomes a row on disk, within a second and off the hot path."""

import os

import gevent
from gevent import get_hub
from gevent.lock import RLock

from workers.contract.samples import SampleSpec, encode, frame, gap_bytes, picks
from workers.engine.arrival import NS, Arrival
from workers.engine.breath import breathe
from workers.engine.excerpts import Excerpts
from workers.engine.measure import Measured
from workers.engine.spool import Spool
from workers.engine.witness import Asked
from workers.protocols.contract import Request

EVERY_S = 1.0
"""Between two writes: what an engine that dies loses of its samples."""
AT_ONCE = 1000
"""Rows packed before others may run: 0.1 ms, with long streams 0.3 ms."""
MOST_ROWS = 100_000
"""Rows that wait for a slow disk; beyond it they are dropped, and counted."""
LAST_WITHIN_S = 2.0
"""For the last write of an attempt; its final snapshot waits for it."""
STAGE = "stage="

Row = tuple[object, ...]
"""A `Sample` before it is packed: its fields in their order."""


class Sampler:
    """A `Witness`. Without a spool it only counts: rows have no place then, and the worker knows why."""

    __slots__ = (
        "_closed", "_dropped", "_excerpts", "_lock", "_rows", "_sampled", "_seed", "_share", "_spool",
        "_warned", "_why",
    )  # fmt: skip

    def __init__(self, spec: SampleSpec, *, seed: int, spool: Spool | None, excerpts: Excerpts) -> None:
        self._seed, self._share = seed, spec.share
        self._excerpts = excerpts
        self._spool = spool
        self._rows: list[Row] = []
        self._sampled = self._dropped = 0
        self._why = self._warned = ""
        self._lock = RLock()
        self._closed = False

    def saw(self, arrival: Arrival, request: Request, *, asked: Asked, sample: Measured) -> None:  # noqa: ARG002  # a `Witness`
        """Keep the request if it is one of those picked."""
        if self._closed or not picks(self._seed, arrival.index, self._share):
            return
        self._sampled += 1
        if self._spool is None:
            return
        if len(self._rows) >= MOST_ROWS:
            self._drop(1, "the disk is too slow")
            return
        why = asked.answer.why and self._excerpts.masked(asked.answer.why)
        self._rows.append(row_of(arrival, asked, sample, why=why))

    def start(self) -> None:
        """Write once a second from now on."""
        if self._spool is not None:
            gevent.spawn(self._run)

    def finish(self) -> None:
        """Write the rest and hand it over; nothing is kept afterwards."""
        self._closed = True
        if self._spool is None:
            return
        written = False
        with gevent.Timeout(LAST_WITHIN_S, False):  # False: raise nothing
            self._write(last=True)
            written = True
        if not written:
            self._drop(len(self._rows), "the disk is too slow")  # what is under way may still get there

    def drain(self) -> tuple[int, list[str]]:
        """(requests picked, warnings) since the last call."""
        sampled, self._sampled = self._sampled, 0
        warnings = []
        if self._dropped and self._why != self._warned:
            self._warned = self._why
            warnings.append(f"samples are not written: {self._why}; the requests themselves go on")
        self._dropped = 0
        return sampled, warnings

    def _run(self) -> None:
        while not self._closed:
            gevent.sleep(EVERY_S)
            self._write(last=False)

    def _write(self, *, last: bool) -> None:
        assert self._spool is not None  # noqa: S101  # not started without
        with self._lock:
            rows, self._rows = self._rows, []
            frames = []
            for first in range(0, len(rows), AT_ONCE):
                frames.append(frame(encode(rows[first : first + AT_ONCE])))
                breathe()
            pool = get_hub().threadpool
            try:
                pool.apply(self._spool.add, (b"".join(frames),))
            except OSError as error:
                self._drop(len(rows), os.strerror(error.errno) if error.errno else str(error))
            if last:
                pool.apply(self._spool.close)

    def _drop(self, count: int, why: str) -> None:
        self._dropped += count
        self._why = why


def row_of(arrival: Arrival, asked: Asked, sample: Measured, *, why: str) -> Row:
    """The fields of a `Sample`, in its order; `why` it failed, without secrets."""
    exchange, answer = asked.exchange, asked.answer
    intended_s = arrival.at_ns / NS
    sent_ns = exchange.sent_ns
    return (
        arrival.index,
        arrival.request_id,
        intended_s,
        intended_s + (sent_ns - arrival.intended_ns) / NS if sent_ns else None,
        sample.wait,
        sample.connect,
        sample.lag,
        sample.latency,
        sample.service_time,
        sample.ttft,
        sample.ttft_sent,
        sample.ttfot,
        sample.tpot,
        gap_bytes(sample.itl),
        answer.input_tokens,
        answer.output_tokens,
        exchange.status,
        sample.outcome,
        why,
        arrival.tags or {},
        next((group[len(STAGE) :] for group in arrival.groups if group.startswith(STAGE)), ""),
    )
