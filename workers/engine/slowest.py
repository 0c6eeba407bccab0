"""Remembers the slowest requests, and how the answers of failed ones began, until the next snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappush, heapreplace

from msgspec import structs

from workers.contract.samples import trace_id
from workers.contract.slowest import MOST, MOST_FAILED
from workers.contract.snapshot import WARMUP, ErrorExample, SlowRequest
from workers.engine.arrival import NS, Arrival
from workers.engine.breath import breathe
from workers.engine.excerpts import HEAD_BYTES, Excerpts, answer_head
from workers.engine.measure import OK, Measured
from workers.engine.recorder import Recorder
from workers.engine.witness import Asked
from workers.protocols.contract import Request


@dataclass(frozen=True, slots=True, order=True)
class _Slow:
    """A slow request: its numbers, and the first bytes of what it asked and got."""

    latency: float
    index: int
    request_id: str
    outcome: str
    at_ns: int
    service_time: float
    ttft: float
    status: int
    asked: bytes
    answered: bytes


class Slowest:
    """A `Witness`. What is not among the slowest of the attempt so far costs one comparison."""

    __slots__ = (
        "_campaign",
        "_excerpts",
        "_failed",
        "_fresh",
        "_heads",
        "_ok",
        "_recorder",
        "_traced",
        "floor_s",
    )

    def __init__(self, *, campaign: str, excerpts: Excerpts, recorder: Recorder, traced: bool = True) -> None:
        self._campaign = campaign
        self._traced = traced
        self._excerpts = excerpts
        self._recorder = recorder
        self.floor_s = -1.0
        self._ok: list[float] = []
        self._failed: list[float] = []
        self._fresh: dict[bool, list[_Slow]] = {True: [], False: []}
        self._heads: dict[str, bytes] = {}

    def saw(self, arrival: Arrival, request: Request, *, asked: Asked, sample: Measured) -> None:
        """Keep it if it is slow, or if it stands for a kind of failure; requests of the warm-up are not."""
        ok = sample.outcome == OK
        if not ok and self._recorder.newest(sample.outcome) == arrival.request_id:
            self._heads[arrival.request_id] = answer_head(asked.exchange)
        floor, most = (self._ok, MOST) if ok else (self._failed, MOST_FAILED)
        if arrival.groups[0] == WARMUP or (len(floor) == most and sample.latency <= floor[0]):
            return
        _push(floor, sample.latency, most)
        if ok and len(floor) == most:
            self.floor_s = floor[0]
        slow = _Slow(
            sample.latency,
            arrival.index,
            arrival.request_id,
            sample.outcome,
            arrival.at_ns,
            sample.service_time,
            -1.0 if sample.ttft is None else sample.ttft,
            asked.exchange.status,
            request.body[:HEAD_BYTES],
            answer_head(asked.exchange),
        )
        fresh = self._fresh[ok]
        if len(fresh) < most:
            heappush(fresh, slow)
        elif slow > fresh[0]:
            heapreplace(fresh, slow)

    def drain(self) -> list[SlowRequest]:
        """Those since the last call that are among the slowest of the attempt so far."""
        fresh = [*self._fresh[True], *self._fresh[False]]
        self._fresh = {True: [], False: []}
        told = []
        for slow in fresh:
            told.append(self._told(slow))
            breathe()  # masking forty excerpts at once took 6 ms
        return told

    def illustrated(self, examples: Sequence[ErrorExample]) -> list[ErrorExample]:
        """The failed requests that the recorder kept, with their trace and how their answers began."""
        heads, self._heads = self._heads, {}
        return [
            structs.replace(
                example,
                text=self._excerpts.masked(example.text),
                trace_id=self._trace_id(example.request_id),
                excerpt=self._excerpts.of(heads.get(example.request_id, b"")),
            )
            for example in examples
        ]

    def _trace_id(self, request_id: str) -> str:
        return trace_id(self._campaign, request_id) if request_id and self._traced else ""

    def _told(self, slow: _Slow) -> SlowRequest:
        return SlowRequest(
            request_id=slow.request_id,
            trace_id=self._trace_id(slow.request_id),
            outcome=slow.outcome,
            intended_s=slow.at_ns / NS,
            latency_s=slow.latency,
            service_time_s=slow.service_time,
            ttft_s=None if slow.ttft < 0 else slow.ttft,
            status=slow.status,
            asked=self._excerpts.of(slow.asked),
            answered=self._excerpts.of(slow.answered),
        )


def _push(floor: list[float], latency: float, most: int) -> None:
    if len(floor) < most:
        heappush(floor, latency)
    else:
        heapreplace(floor, latency)
