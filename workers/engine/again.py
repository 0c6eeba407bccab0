"""Sends a single request of a run once more, by the same data, protocol and client as an engine."""

import tempfile
import time
from pathlib import Path

import msgspec

from workers.contract.errors import EngineError
from workers.contract.files.golden import read_golden
from workers.contract.replay import ReplayOrder
from workers.contract.spec import LoadSpec, RegressionSpec
from workers.engine import wire
from workers.engine.arrival import Arrival
from workers.engine.book import Book, Clock
from workers.engine.clockmap import fixed
from workers.engine.data import located, open_rows
from workers.engine.fence import Fence
from workers.engine.gear import Gear, build
from workers.engine.measure import Measured
from workers.engine.probe import Probe
from workers.engine.recorder import Recorder
from workers.engine.sender import Sender, measured
from workers.engine.sessions import Talks
from workers.engine.witness import Asked
from workers.protocols.contract import Request

AGAIN = 0
"""Number of the attempt in its id: attempts of a run begin at 1, so its log tells them apart."""
LONGEST_S = 3600.0
"""How long the sending is allowed for; the target's timeout ends it much sooner."""


class Again(msgspec.Struct, frozen=True):
    """What was sent and what came back; `block`: header lines that all requests of the target carry."""

    request: Request
    request_id: str
    block: bytes
    asked: Asked
    sample: Measured


def send_again(order: ReplayOrder, prepare: wire.Prepare) -> Again:
    """Send the request and wait for its answer. Raises ShakeoutWorkerError where that cannot be done."""
    with tempfile.TemporaryDirectory(prefix="shakeout-") as folder:
        mark = str(Path(folder) / "mark")
        gear = build(msgspec.structs.replace(prepare, watermark=mark), order.spec)
        now_ns = time.monotonic_ns()
        fence = Fence()
        fence.extend(time.clock_gettime_ns(time.CLOCK_BOOTTIME) + round(LONGEST_S * 1e9))
        clock = Clock(fixed(now_ns))
        book = Book(clock=clock, recorder=Recorder(gear.bounds), marks=gear.marks, first=order.index)
        request = _request(order, gear, book)
        sender = Sender(
            task=gear.task,
            client=gear.client,
            protocol=gear.protocol,
            fence=fence,
            book=book,
            probe=Probe(),
            block=gear.block,
            id_header=True,
            listener=lambda: None,
        )
        now_ns = time.monotonic_ns()
        arrival = Arrival(order.index, 0, now_ns, now_ns)
        book.handed(arrival, following=order.index + 1)
        asked = sender.ask(arrival, request)
        gear.client.close()
    sample = measured(arrival, asked.exchange, answer=asked.answer, timing=asked.timing, late_ns=0)
    return Again(request, arrival.request_id, gear.block, asked, sample)


def _request(order: ReplayOrder, gear: Gear, book: Book) -> Request:
    """The request that this arrival is."""
    spec = order.spec
    if isinstance(spec, RegressionSpec):
        cases = read_golden(order.files.get(spec.golden.sha256, spec.golden.name))[: spec.limit]
        return gear.protocol.build(cases[order.index % len(cases)].request)
    return gear.protocol.build(_row(spec, order, gear, book))


def _row(spec: LoadSpec, order: ReplayOrder, gear: Gear, book: Book) -> dict[str, object]:
    if spec.data is None:
        raise EngineError("requests of a locustfile are made by its own code, and cannot be made again here")
    data = located(spec.data, order.files)
    rows = open_rows(data, seed=spec.seed, stream=spec.activity, counter=gear.counter)
    try:
        if spec.sessions is not None:
            talks = Talks(spec.sessions, rows=rows, book=book, end_ns=0)
            row = talks.row(Arrival(order.index, 0, 0, 0))
        else:
            row = rows.row(order.index)
    finally:
        rows.close()
    if row is None:
        raise EngineError(f"the data has no row for arrival {order.index}")
    return row.request
