"""A worker's parts put together, started and ended in order."""

import logging
from collections.abc import Callable
from pathlib import Path

from workers.attempts.attempt import run
from workers.attempts.former import forget_foreign_lives, tell_of_former_lives
from workers.attempts.former_faults import tell_of_faults
from workers.attempts.mailbox import Worker
from workers.attempts.progress import Progress
from workers.attempts.register import Register
from workers.chaos.ledger import Entry, reconcile
from workers.clock import CommonClock
from workers.contract.broker.server import await_server
from workers.contract.errors import ShakeoutWorkerError
from workers.contract.left_ledgers import noted, settle
from workers.faults.looking import Looking
from workers.faults.proxies import Fate, Proxies
from workers.faults.steps import ledger
from workers.fleet.drain import Drain, watch
from workers.fleet.leases import Leases
from workers.fleet.orders import Orders
from workers.inventory import GpuWatch, blank_card
from workers.link import AWAY, Link
from workers.samples.store import SampleStore
from workers.settings import Settings
from workers.supervise import Supervisor
from workers.watching.hooks import Hooks
from workers.watching.webhook import Receiver

log = logging.getLogger(__name__)


class WebhookError(ShakeoutWorkerError):
    """The address at which webhooks were to be taken cannot be listened on."""


def build(
    settings: Settings,
    *,
    incarnation: str,
    drain: Drain,
    send_progress: Callable[[str, str], None],
) -> Worker:
    """Make the parts of one life of a worker; nothing runs yet. Raises ContractError for a broker address."""
    clock = CommonClock()
    register = Register(_lives(settings), incarnation)
    link = Link(settings, incarnation=incarnation, clock=clock, delivered=register.delivered)
    card = blank_card(settings, incarnation)
    gpus = GpuWatch(settings.environment)
    hooks = Hooks()
    supervisor = Supervisor(keep=min(settings.slots, card.cores), environment=settings.environment)
    proxies = _proxies(settings, link)
    leases = Leases(link, card=card, devices=gpus.devices, drain=drain, proxies=proxies.shown)
    proxies.changed = leases.show
    return Worker(
        settings=settings,
        clock=clock,
        link=link,
        register=register,
        gpus=gpus,
        leases=leases,
        orders=Orders(
            link, leases.refusals.add, stand=lambda order: proxies.stand(order.campaign, order.proxies)
        ),
        supervisor=supervisor,
        looking=Looking(link, supervisor),
        progress=Progress(send_progress),
        samples=SampleStore(settings.home / "samples" / settings.name),
        drain=drain,
        proxies=proxies,
        hooks=hooks,
        webhook=_receiver(settings, hooks, clock),
    )


def _proxies(settings: Settings, link: Link) -> Proxies:
    def fate(campaign: str) -> Fate:
        try:
            return link.fate(campaign)
        except AWAY:
            return "away"

    return Proxies(
        settings.home,
        worker=settings.name,
        allow_targets=settings.allow_targets,
        own=settings.proxies,
        fate=fate,
    )


def _receiver(settings: Settings, hooks: Hooks, clock: CommonClock) -> Receiver | None:
    if settings.webhook is None:
        return None
    host, port = settings.webhook
    try:
        return Receiver(host, port, hooks=hooks, clock=clock.now)
    except OSError as error:
        raise WebhookError(f"--webhook {host}:{port} cannot be listened on: {error.strerror}") from error


def start(worker: Worker) -> None:
    """Undo what former lives left on this host, tell of them, take the name, begin.

    Raises NameTakenError, BrokerError where this Redis will not do, HostError where it may not write.
    """
    settings = worker.settings
    if settings.warning:
        log.warning("%s", settings.warning)
    worker.gpus.start()
    worker.register.open()
    left = _undo_faults(worker)
    await_server(settings.broker, role="worker", stop=worker.draining, worker=settings.name)
    client = worker.link.open_client()
    tell_of_former_lives(
        _lives(settings), name=settings.name, client=client, clock=worker.clock, keys=settings.keys
    )
    tell_of_faults(left, client=client, clock=worker.clock, keys=settings.keys)
    client.close()
    if not worker.gpus.wait():
        log.warning("the NVIDIA driver has not answered yet; starting without GPUs")
    try:
        worker.leases.start()
    except BaseException:
        worker.register.close()
        raise
    if worker.proxies is not None:
        worker.proxies.start()
    watch(worker.drain, show=worker.leases.show)
    forget_foreign_lives(_lives(settings), own=worker.link.incarnation)
    worker.link.start()
    worker.orders.start()
    worker.supervisor.start()
    worker.progress.start()
    worker.looking.start()
    worker.samples.start()
    if worker.webhook is not None:
        worker.webhook.start()
        log.info("Alertmanager's webhooks are taken on port %d", worker.webhook.port)


def _undo_faults(worker: Worker) -> list[Entry]:
    """Take back what dead workers of this host left in effect, before anything is waited for."""
    place = worker.settings.left_ledgers
    others = noted(place) if place is not None else ()
    found: list[Entry] = []
    for folder in (ledger(worker.settings), *others):
        try:
            found += reconcile(folder)
        except ShakeoutWorkerError as error:
            log.warning("the ledger of faults: %s", error)
    for folder in others:
        if place is not None and not settle(place, folder):
            log.warning("a fault that an earlier run left could not be undone yet: %s", folder)
    return found


def close(worker: Worker) -> None:
    """Deliver what is unsent, within bounds, and let everything go."""
    if worker.webhook is not None:
        worker.webhook.close()
    worker.looking.close()
    worker.progress.close()
    worker.samples.close()
    worker.supervisor.close()
    worker.link.close()
    worker.orders.close()
    worker.leases.close()
    if worker.proxies is not None:
        worker.proxies.close()
    worker.gpus.close()
    worker.register.close()


def _lives(settings: Settings) -> Path:
    return settings.home / "marks" / settings.name


def body(worker: Worker) -> Callable[[object, str], str]:
    """What a Celery task calls."""
    return lambda argument, task_id: run(argument, worker, task_id=task_id)
