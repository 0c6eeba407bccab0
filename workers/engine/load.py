"""A shard of a load or soak: its schedule, dispatched or looped, sent by its users until all is over."""

import time
from itertools import chain

import gevent

from workers.contract.data import DataSpec, FileData
from workers.contract.errors import ShakeoutWorkerError
from workers.contract.schedule import ClosedArrivals, OpenArrivals, fingerprint
from workers.contract.snapshot import JUDGED, CaseResult
from workers.contract.spec import LoadSpec, share
from workers.engine import wire
from workers.engine.arrival import NS, Arrival, grouping
from workers.engine.closed import Loop
from workers.engine.data import Rows, open_rows
from workers.engine.dispatcher import arrivals_of, dispatch
from workers.engine.gear import Gear
from workers.engine.pool import Pool
from workers.engine.sender import Sender

SETTLE_S = 0.02
"""How often the end is looked for once everything is handed over."""


class Load:
    """One attempt at a shard of load; `run` returns when its work is done."""

    def __init__(self, spec: LoadSpec, *, gear: Gear, files: dict[str, str]) -> None:
        self._spec = spec
        self._gear = gear
        self._rows: Rows = open_rows(located(spec.data, files), seed=spec.seed, stream=spec.activity)
        self._stops = isinstance(spec.data, FileData) and spec.data.at_end == "stop"
        self._groups = grouping(spec.arrivals, spec.tag_groups)
        self.fingerprint = fingerprint(spec.arrivals) if isinstance(spec.arrivals, OpenArrivals) else ""
        self.stopped = False

    def run(self, sender: Sender, begin: wire.Begin) -> None:
        """Offer everything from `begin.from_s` on and wait until it is over."""
        if isinstance(self._spec.arrivals, ClosedArrivals):
            self._run_closed(self._spec.arrivals, sender, begin)
        else:
            self._run_open(self._spec.arrivals, sender, begin)

    def drain(self) -> list[CaseResult]:
        """A load judges no cases."""
        return []

    def close(self) -> None:
        """Give the data file back."""
        self._rows.close()

    def _run_open(self, arrivals: OpenArrivals, sender: Sender, begin: wire.Begin) -> None:
        task = self._gear.task
        pool = Pool(
            crowd=self._gear.crowd,
            book=sender.book,
            send=lambda arrival: self._send_open(sender, arrival),
            cap=self._gear.cap,
            timeout_s=self._gear.timeout_s,
            of=task.of,
        )
        pool.start()
        schedule = arrivals_of(arrivals, shard=task.shard, of=task.of, from_ns=round(begin.from_s * NS))
        first = next(schedule, None)
        if first is None:
            return
        sender.book.following = first[0]
        dispatch(
            chain((first,), schedule),
            clock=sender.book.clock,
            offer=pool.offer,
            goes_on=self._goes_on,
        )
        while not (self.stopped or (pool.is_empty() and not sender.book.flying)):
            pool.expire()
            gevent.sleep(SETTLE_S)

    def _run_closed(self, arrivals: ClosedArrivals, sender: Sender, begin: wire.Begin) -> None:
        task = self._gear.task
        loop = Loop(
            arrivals,
            crowd=self._gear.crowd,
            book=sender.book,
            send=lambda arrival: self._send(sender, arrival),
            shard=task.shard,
            of=task.of,
            goes_on=self._goes_on,
            ceiling=self._gear.ceiling,
        )
        loop.run(users=share(arrivals.users, task.shard, task.of), from_ns=round(begin.from_s * NS))

    def _goes_on(self, index: int) -> bool:
        return not self.stopped and not (self._stops and self._rows.row(index) is None)

    def _send_open(self, sender: Sender, arrival: Arrival) -> None:
        if self._gear.ceiling.admits(time.monotonic_ns()):
            self._send(sender, arrival)
        else:
            sender.withhold(arrival, "above the target's rate_limit; it was not sent")

    def _send(self, sender: Sender, arrival: Arrival) -> None:
        row = self._rows.row(arrival.index)
        if row is None:
            raise ShakeoutWorkerError(f"the data ended before arrival {arrival.index}")
        if arrival.groups[0] == JUDGED:
            arrival.groups = self._groups(arrival.at_ns, row.tags)
        sender.send(arrival, self._gear.protocol.build(row.request))


def located(data: DataSpec, files: dict[str, str]) -> DataSpec:
    """The same data, at its place on this machine: a file travels by its sha256."""
    if isinstance(data, FileData) and data.path in files:
        return FileData(
            path=files[data.path],
            order=data.order,
            at_end=data.at_end,
            tags=data.tags,
            name=data.name or data.path,
        )
    return data
