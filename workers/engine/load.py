"""A shard of a load or soak: its schedule, dispatched or looped, sent by its users until all is over."""

import time
from itertools import chain
from pathlib import Path

import gevent

from workers.contract.data import FileData
from workers.contract.errors import ShakeoutWorkerError
from workers.contract.files.conversation import proving
from workers.contract.files.traces import load as load_times
from workers.contract.schedule import ClosedArrivals, OpenArrivals, fingerprint
from workers.contract.snapshot import JUDGED, CaseResult
from workers.contract.spec import LoadSpec
from workers.engine import wire
from workers.engine.arrival import NS, Arrival, grouping
from workers.engine.book import Ledger
from workers.engine.closed import LOOK_S, Loop
from workers.engine.data import DataRow, Rows, located, open_rows
from workers.engine.dispatcher import arrivals_of, dispatch
from workers.engine.gear import Gear
from workers.engine.pool import Pool
from workers.engine.prepared import Made, Prepared
from workers.engine.retries import Retrying
from workers.engine.segments import tag_groups
from workers.engine.sender import Sender, no_answer
from workers.engine.sessions import Talks
from workers.engine.until import Until
from workers.protocols.contract import Answer

SETTLE_S = 0.02
"""How often the end is looked for once everything is handed over."""


class Load:
    """One attempt at a shard of load; `run` returns when its work is done."""

    def __init__(self, spec: LoadSpec, *, gear: Gear, files: dict[str, str], until: Until) -> None:
        assert spec.data is not None  # noqa: S101  # only a locustfile has none
        self._spec = spec
        self._gear = gear
        self._until = until
        self._rows: Rows = open_rows(
            located(spec.data, files),
            seed=spec.seed,
            stream=spec.activity,
            build=gear.protocol.build if spec.sessions is None else proving(gear.protocol.build),
            counter=gear.counter,
        )
        trace = spec.arrivals.trace if isinstance(spec.arrivals, OpenArrivals) else None
        self._times = None if trace is None else load_times(trace, Path(files[trace.sha256]))
        self._stops = isinstance(spec.data, FileData) and spec.data.at_end == "stop"
        self._groups = grouping(spec.arrivals, tag_groups(spec, self._rows))
        self._prepared = Prepared(self._rows, gear.protocol.build)
        self._talks: Talks | None = None
        self._retrying: Retrying | None = None
        self.fingerprint = fingerprint(spec.arrivals) if isinstance(spec.arrivals, OpenArrivals) else ""
        self.stopped = False

    def run(self, sender: Sender, begin: wire.Begin) -> None:
        """Offer everything from `begin.from_s` on, to the end or its hand-over, and wait until it is over."""
        spec = self._spec
        if spec.sessions is not None:
            end_ns = round(spec.arrivals.duration_s * NS)
            self._talks = Talks(spec.sessions, rows=self._rows, book=sender.book, end_ns=end_ns)
        if spec.retries is not None:
            self._retrying = Retrying(
                spec.retries,
                sender=sender,
                ceiling=self._gear.ceiling,
                seed=spec.seed,
                stopped=lambda: self.stopped,
            )
        sender.book.told_apart = self._told_apart
        ledger: Ledger = sender.book if self._talks is None else self._talks
        if isinstance(spec.arrivals, ClosedArrivals):
            self._run_closed(spec.arrivals, sender, begin, ledger=ledger)
        else:
            self._run_open(spec.arrivals, sender, begin, ledger=ledger)

    def drain(self) -> list[CaseResult]:
        """A load judges no cases."""
        return []

    def close(self) -> None:
        """Give the data file back."""
        self._rows.close()

    @property
    def _stride(self) -> int:
        """Indices that one arrival of the schedule takes."""
        return 1 if self._talks is None else self._talks.turns

    def _run_open(self, arrivals: OpenArrivals, sender: Sender, begin: wire.Begin, *, ledger: Ledger) -> None:
        task = self._gear.task
        pool = Pool(
            crowd=self._gear.crowd,
            book=ledger,
            send=lambda arrival: self._send_open(sender, arrival, pool=pool),
            cap=self._gear.cap,
            timeout_s=self._gear.timeout_s,
            of=task.of * self._stride,
            stood_ns=sender.probe.stood_ns,
        )
        pool.start()
        schedule = arrivals_of(arrivals, shard=task.shard, of=task.of, from_ns=round(begin.from_s * NS))
        if self._stride > 1:
            schedule = ((index * self._stride, at_ns) for index, at_ns in schedule)
        first = next(schedule, None)
        if first is None:
            return
        sender.book.following = first[0]
        dispatch(
            chain((first,), schedule),
            clock=sender.book.clock,
            offer=pool.offer,
            goes_on=self._goes_on,
            until=self._until,
        )
        while not (self.stopped or (pool.is_empty() and not sender.book.flying and not self._waiting)):
            pool.expire()
            gevent.sleep(SETTLE_S)

    def _run_closed(
        self, arrivals: ClosedArrivals, sender: Sender, begin: wire.Begin, *, ledger: Ledger
    ) -> None:
        loop = Loop(
            arrivals,
            gear=self._gear,
            book=ledger,
            send=lambda arrival: self._send_closed(sender, arrival),
            goes_on=self._goes_on,
            until=self._until,
            stride=self._stride,
        )
        loop.run(from_ns=round(begin.from_s * NS))

    @property
    def _waiting(self) -> int:
        return 0 if self._talks is None else self._talks.waiting

    def _goes_on(self, index: int) -> bool:
        if self.stopped or not self._stops:
            return not self.stopped
        return self._rows.row(index) is not None if self._talks is None else self._talks.has_rows(index)

    def _send_open(self, sender: Sender, arrival: Arrival, *, pool: Pool) -> None:
        """Send it; a later turn of its conversation is offered to the pool when it is due."""
        if self._gear.ceiling.admits(time.monotonic_ns()):
            answer = self._send(sender, arrival)
        else:
            why = f"above {self._gear.ceiling.whose}; it was not sent"
            sender.withhold(arrival, why)
            answer = no_answer("unsent", why)
        talks = self._talks
        if talks is not None and (turn := talks.next_after(arrival, answer)) is not None:
            gevent.spawn(self._offer_when_due, turn, talks=talks, pool=pool)

    def _offer_when_due(self, turn: Arrival, *, talks: Talks, pool: Pool) -> None:
        gevent.sleep(max(turn.intended_ns - time.monotonic_ns(), 0) / NS)
        if not self.stopped:
            talks.due(turn)
            pool.offer(turn)

    def _send_closed(self, sender: Sender, arrival: Arrival) -> None:
        """Send it, and in the same user's hands the later turns of its conversation."""
        answer = self._send(sender, arrival)
        talks = self._talks
        while talks is not None and (turn := talks.next_after(arrival, answer)) is not None:
            gevent.sleep(max(turn.intended_ns - time.monotonic_ns(), 0) / NS)
            while not (self.stopped or self._gear.ceiling.admits(time.monotonic_ns())):
                gevent.sleep(LOOK_S)
            if self.stopped:
                return
            talks.due(turn)
            talks.handed(turn, following=0)
            arrival, answer = turn, self._send(sender, turn)

    def _send(self, sender: Sender, arrival: Arrival) -> Answer:
        made = self._made(arrival)
        if made is None:
            raise ShakeoutWorkerError(f"the data ended before arrival {arrival.index}")
        request, arrival.tags = made
        if arrival.groups[0] == JUDGED:
            arrival.groups = self._groups(arrival.at_ns, arrival.tags)
        if self._retrying is not None:
            return self._retrying.send(arrival, request)
        return sender.send(arrival, request)

    def _told_apart(self, arrival: Arrival) -> tuple[str, ...]:
        """Groups of an arrival that is given up before its row is read: it counts against its segment too."""
        row = self._row(arrival)
        return (JUDGED,) if row is None else self._groups(arrival.at_ns, row.tags)

    def _made(self, arrival: Arrival) -> Made | None:
        if self._talks is None:
            return self._prepared.of(arrival.index)
        row = self._talks.row(arrival)
        return None if row is None else (self._gear.protocol.build(row.request), row.tags)

    def _row(self, arrival: Arrival) -> DataRow | None:
        return self._rows.row(arrival.index) if self._talks is None else self._talks.row(arrival)
