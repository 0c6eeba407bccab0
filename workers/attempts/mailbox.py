"""All that an attempt hears while it runs, in one queue: its lease, its orders, its engine, and the drain."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from workers.attempts.progress import Progress
from workers.attempts.register import Register
from workers.clock import CommonClock
from workers.contract.control import AttemptOrder
from workers.contract.spec import ShardTask
from workers.engine import wire
from workers.engine_process import Gone
from workers.faults.looking import Looking
from workers.faults.proxies import Proxies
from workers.fleet.drain import Drain
from workers.fleet.leases import Authorised, Held, Leases, Revoked
from workers.fleet.orders import Orders
from workers.inventory import GpuWatch
from workers.link import Link
from workers.samples.store import SampleStore
from workers.settings import Settings
from workers.supervise import Supervisor
from workers.watching.hooks import Hooks
from workers.watching.webhook import Receiver

Event = Authorised | Revoked | AttemptOrder | wire.FromEngine | Gone


@dataclass(frozen=True, slots=True)
class Worker:
    """The worker's parts, as an attempt needs them."""

    settings: Settings
    clock: CommonClock
    link: Link
    register: Register
    gpus: GpuWatch
    leases: Leases
    orders: Orders
    supervisor: Supervisor
    looking: Looking
    progress: Progress
    samples: SampleStore
    drain: Drain
    proxies: Proxies | None = None
    hooks: Hooks = field(default_factory=Hooks)
    webhook: Receiver | None = None

    @property
    def draining(self) -> threading.Event:
        """Set once and for all when the worker is to leave."""
        return self.drain.asked


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A queue of events; senders never block, and one attempt is told a few things a second."""

    _events: "queue.SimpleQueue[Event]" = field(default_factory=queue.SimpleQueue)

    def put(self, event: Event) -> None:
        """Add one."""
        self._events.put(event)

    def get(self, timeout_s: float) -> Event | None:
        """Return the next one, None where none comes in time; 0 does not wait."""
        try:
            return self._events.get(timeout=timeout_s) if timeout_s > 0 else self._events.get_nowait()
        except queue.Empty:
            return None


@contextmanager
def holding(task: ShardTask, worker: Worker, *, fence_s: float) -> Iterator[Mailbox]:
    """Renew the attempt's lease and hear its orders until the block ends."""
    mailbox = Mailbox()
    worker.leases.hold(Held(task.campaign, task.attempt, fence_s, mailbox.put))
    worker.orders.listen((task.campaign, task.attempt), mailbox.put)
    try:
        yield mailbox
    finally:
        worker.orders.release((task.campaign, task.attempt))
        worker.leases.release(task.campaign, task.attempt)
