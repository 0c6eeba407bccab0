"""All that an attempt hears while it runs, in one queue: its lease, its orders, its engine, and the drain."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from workers.clock import CommonClock
from workers.contract.control import Order
from workers.contract.spec import ShardTask
from workers.engine import wire
from workers.inventory import GpuWatch
from workers.leases import Authorised, Held, Leases, Revoked
from workers.link import Link
from workers.orders import Orders
from workers.progress import Progress
from workers.register import Register
from workers.sample_store import SampleStore
from workers.settings import Settings
from workers.supervise import Gone, Supervisor

Event = Authorised | Revoked | Order | wire.FromEngine | Gone


@dataclass(frozen=True, slots=True)
class Worker:
    """The worker's parts, as an attempt needs them; `draining` is set once and for all."""

    settings: Settings
    clock: CommonClock
    link: Link
    register: Register
    gpus: GpuWatch
    leases: Leases
    orders: Orders
    supervisor: Supervisor
    progress: Progress
    samples: SampleStore
    draining: threading.Event


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
