"""One attempt from its start to its last snapshot: who runs beside whom, and who may end it."""

import time
from typing import Protocol

import gevent

from workers.contract.snapshot import CaseResult
from workers.contract.spec import LoadSpec, RegressionSpec
from workers.engine import wire
from workers.engine.book import NS, Book
from workers.engine.control import Control, hear_errors
from workers.engine.gear import Gear
from workers.engine.observers import Observers, observers_of
from workers.engine.pipes import Words
from workers.engine.probe import Probe
from workers.engine.recorder import Recorder
from workers.engine.reporter import Reporter
from workers.engine.sender import Sender
from workers.engine.tidy import tidy

FENCE_LOOK_S = 0.05
"""How often the authorisation is looked at; the fence itself is asked before every send."""
GRACE_S = 1.0
"""Past the fence, requests in flight may still end for this long."""


class Job(Protocol):
    """What an attempt does: a load or a batch of cases. `stopped` set: hand nothing more out."""

    fingerprint: str
    stopped: bool

    def run(self, sender: Sender, begin: wire.Begin) -> None:
        """Do all of it."""

    def drain(self) -> list[CaseResult]:
        """Cases judged since the last call."""

    def close(self) -> None:
        """Give back what is held."""


def run_attempt(
    control: Control, *, words: Words, spec: LoadSpec | RegressionSpec, job: Job, gear: Gear
) -> wire.Finished:
    """Run until the job is done, the worker halts it, the authorisation runs out, or something breaks."""
    begin: wire.Begin = control.begin.get()
    assert control.clock is not None  # noqa: S101  # `Begin` made it
    book = Book(
        clock=control.clock,
        recorder=Recorder(gear.bounds),
        marks=gear.marks,
        first=gear.task.shard,
        warmup_s=spec.warmup_s if isinstance(spec, LoadSpec) else 0.0,
    )
    probe = Probe()
    observers = observers_of(spec, task=gear.task, seen=gear.seen, begin=begin, recorder=book.recorder)
    sender = _sender(control, gear=gear, book=book, probe=probe, observers=observers)
    reporter = Reporter(
        task=gear.task,
        book=book,
        probe=probe,
        marks=gear.marks,
        words=words,
        offset_s=begin.common_offset_s,
        cases=job.drain,
        observers=observers,
    )
    gear.crowd.on_trouble(control.trouble)
    if not isinstance(spec, LoadSpec) or spec.locustfile is None:  # code of one's own may lose greenlets
        hear_errors(control.trouble)
    probe.start()
    gevent.spawn(tidy)
    reporter.start()
    observers.start()
    gevent.spawn(_work, control, job=job, sender=sender, begin=begin)
    gevent.spawn(_watch_fence, control, job=job, book=book, start_ns=begin.start_ns)
    outcome, why = control.ending.get()
    job.stopped = True
    book.seal()
    observers.finish()
    reporter.finish()
    job.close()
    return wire.Finished(
        outcome, why, dispatched=book.dispatched, last_seq=reporter.seq, silent_ns=control.silent_ns
    )


def _sender(control: Control, *, gear: Gear, book: Book, probe: Probe, observers: Observers) -> Sender:
    return Sender(
        task=gear.task,
        client=gear.client,
        protocol=gear.protocol,
        fence=control.fence,
        book=book,
        probe=probe,
        block=gear.block,
        id_header=gear.id_header,
        listener=gear.crowd.request_listener,
        witness=observers,
    )


def _work(control: Control, *, job: Job, sender: Sender, begin: wire.Begin) -> None:
    """Run the job, not before the first authorisation; a wait for it shows as lag, never as a shift."""
    if control.ends_before(control.authorised):
        return
    try:
        job.run(sender, begin)
    except Exception as error:  # noqa: BLE001  # the boundary of an attempt: it ends with the reason
        control.trouble(error)
    if not job.stopped:
        control.finish()


def _watch_fence(control: Control, *, job: Job, book: Book, start_ns: int) -> None:
    """End the attempt past its authorisation, when those in flight are over or GRACE_S have passed."""
    gevent.sleep(max(start_ns - time.monotonic_ns(), 0) / NS)
    if control.ends_before(control.authorised):
        return
    while control.fence.allows_now():
        gevent.sleep(FENCE_LOOK_S)
    silent_ns = time.monotonic_ns()
    control.fence.close()
    job.stopped = True
    until_s = time.monotonic() + GRACE_S
    while time.monotonic() < until_s and any(arrival.sent_ns for arrival in book.flying.values()):
        gevent.sleep(FENCE_LOOK_S)
    control.end("stopped", "the authorisation to send ran out", silent_ns=silent_ns)
