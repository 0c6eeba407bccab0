"""A worker's parts put together, started and ended in order."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from workers.attempt import run
from workers.chaos.ledger import reconcile
from workers.clock import CommonClock
from workers.contract.errors import ShakeoutWorkerError
from workers.contract.server import await_server
from workers.fault_attempt import ledger
from workers.former import tell_of_former_lives
from workers.inventory import GpuWatch, blank_card
from workers.leases import Leases
from workers.link import Link
from workers.mailbox import Worker
from workers.orders import Orders
from workers.progress import Progress
from workers.register import Register
from workers.sample_store import SampleStore
from workers.settings import Settings
from workers.supervise import Supervisor

log = logging.getLogger(__name__)


def build(
    settings: Settings,
    *,
    incarnation: str,
    draining: threading.Event,
    send_progress: Callable[[str, str], None],
    superseded: Callable[[], None],
) -> Worker:
    """Make the parts of one life of a worker; nothing runs yet. Raises ContractError for a broker address."""
    clock = CommonClock()
    register = Register(_lives(settings), incarnation)
    link = Link(settings, incarnation=incarnation, clock=clock, delivered=register.delivered)
    card = blank_card(settings, incarnation)
    gpus = GpuWatch(settings.environment)
    return Worker(
        settings=settings,
        clock=clock,
        link=link,
        register=register,
        gpus=gpus,
        leases=Leases(link, card=card, devices=gpus.devices, draining=draining, superseded=superseded),
        orders=Orders(link),
        supervisor=Supervisor(keep=min(settings.slots, card.cores), environment=settings.environment),
        progress=Progress(send_progress),
        samples=SampleStore(settings.home / "samples" / settings.name),
        draining=draining,
    )


def start(worker: Worker) -> None:
    """Tell of former lives, take the name, undo what they left on this host, begin.

    Raises NameTakenError, and BrokerError where this Redis will not do.
    """
    settings = worker.settings
    if settings.warning:
        log.warning("%s", settings.warning)
    worker.gpus.start()
    settings.home.mkdir(parents=True, exist_ok=True)
    await_server(settings.broker, role="worker", stop=worker.draining, worker=settings.name)
    client = worker.link.open_client()
    tell_of_former_lives(_lives(settings), name=settings.name, client=client, clock=worker.clock)
    client.close()
    if not worker.gpus.wait():
        log.warning("the NVIDIA driver has not answered yet; starting without GPUs")
    worker.leases.start()
    worker.register.open()
    try:
        for entry in reconcile(ledger(worker)):
            log.warning(
                "fault %s of %s was left by an earlier worker: %s",
                entry.name,
                entry.attempt,
                entry.why or "reverted",
            )
    except ShakeoutWorkerError as error:
        log.warning("the ledger of faults: %s", error)
    worker.link.start()
    worker.orders.start()
    worker.supervisor.start()
    worker.progress.start()
    worker.samples.start()


def close(worker: Worker) -> None:
    """Deliver what is unsent, within bounds, and let everything go."""
    worker.progress.close()
    worker.samples.close()
    worker.supervisor.close()
    worker.link.close()
    worker.orders.close()
    worker.leases.close()
    worker.gpus.close()
    worker.register.close()


def _lives(settings: Settings) -> Path:
    return settings.home / "marks" / settings.name


def body(worker: Worker) -> Callable[[object, str], str]:
    """What a Celery task calls."""
    return lambda argument, task_id: run(argument, worker, task_id=task_id)
