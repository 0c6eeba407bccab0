"""An attempt that watches a phase: alerts and gauges looked at once a second until its traffic is over."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workers.attempts.mailbox import Mailbox, Worker
from workers.clock import boot_ns
from workers.contract.control import Start, Stop
from workers.contract.facts import AlertSeen, Exited, Ready, Silenced
from workers.contract.spec import FileRef, ShardTask, WatchSpec
from workers.files import fetch
from workers.fleet.leases import Authorised, Revoked
from workers.watching.alertmanager import AlertmanagerSource
from workers.watching.changes import Changes
from workers.watching.contract import Source
from workers.watching.gauges import GaugeSource
from workers.watching.hooks import Sent
from workers.watching.monitor_clock import MonitorClock
from workers.watching.places import place_of
from workers.watching.polling import Polling
from workers.watching.prometheus import PrometheusSource
from workers.watching.silences import Silences

if TYPE_CHECKING:
    from workers.watching.fetch import Place

LOOK_EVERY_S = 0.1
"""How soon orders are heard."""


def run_watch(task: ShardTask, spec: WatchSpec, worker: Worker, *, mailbox: Mailbox, task_id: str) -> Exited:
    """Watch until told to stop. Raises SecretUnsetError, TargetRefusedError, DataError."""
    del task_id  # it has no progress to show: it ends with the traffic
    sources = sources_of(spec, worker)
    silences = _silences(task, spec, worker)
    ear = _Ear(mailbox, worker, fence_s=spec.fence_s)
    worker.link.say(task.campaign, Ready(at_s=worker.clock.now(), attempt=task.attempt))
    while not ear.over() and ear.start_s is None:
        ear.look(LOOK_EVERY_S)
    if ear.start_s is not None and not ear.over():
        _watch(task, spec, worker, ear=ear, sources=sources, silences=silences)
    now_s = worker.clock.now()
    outcome: Literal["stopped", "done"] = "stopped" if ear.why else "done"
    return Exited(at_s=now_s, attempt=task.attempt, outcome=outcome, why=ear.why, silent_s=now_s)


def sources_of(spec: WatchSpec, worker: Worker) -> list[Source]:
    """Whatever is to be asked once a second; see `run_watch` for errors."""
    found: list[Source] = []
    monitor, place = spec.monitor, _placing(worker)
    if monitor is not None and monitor.prometheus and spec.alerts:
        found.append(PrometheusSource(place(monitor.prometheus, monitor.headers, monitor.tls), spec.alerts))
    if monitor is not None and monitor.alertmanager and spec.alerts:
        found.append(
            AlertmanagerSource(place(monitor.alertmanager, monitor.headers, monitor.tls), spec.alerts)
        )
    for url in dict.fromkeys(one.url for one in spec.gauges):
        gauges = tuple(one for one in spec.gauges if one.url == url)
        found.append(GaugeSource(place(url, gauges[0].headers, gauges[0].tls), gauges[0].target, gauges))
    return found


def _watch(
    task: ShardTask,
    spec: WatchSpec,
    worker: Worker,
    *,
    ear: "_Ear",
    sources: list[Source],
    silences: Silences | None,
) -> None:
    """Ask, tell, and keep quiet what is to be, until it is over."""
    changes = Changes(task.attempt)
    polling = Polling(sources, worker.clock.now)

    def tell() -> bool:
        polled = polling.heard(0.0)
        if polled is not None:
            now_s, uncertainty_s = worker.clock.now(), worker.clock.reading().uncertainty_s
            for fact in changes.heard(polled, now_s=now_s, uncertainty_s=uncertainty_s):
                worker.link.say(task.campaign, fact)
        return polled is not None

    if silences is not None:
        silences.clear_former()
    clocks = [one.clock for one in sources if isinstance(one, PrometheusSource | AlertmanagerSource)]
    with _hooked(task, spec, worker, clock=clocks[0] if clocks else MonitorClock()):
        polling.start()
        while not ear.over():
            ear.look(LOOK_EVERY_S)
            while tell():
                pass
            if silences is not None and ear.start_s is not None:
                silences.tend(start_s=ear.start_s, now_s=worker.clock.now())
        if silences is not None:
            silences.remove()
        polling.stop()
    while tell():
        pass
    for rest in changes.rest(worker.clock.now()):
        worker.link.say(task.campaign, rest)


class _Ear:
    """What was heard so far: the start, the end; `why` it had to end though the leader did not say so."""

    def __init__(self, mailbox: Mailbox, worker: Worker, *, fence_s: float) -> None:
        self._worker, self._mailbox = worker, mailbox
        self._until_ns = boot_ns() + round(fence_s * 1e9)
        self._told = False
        self.start_s: float | None = None
        self.why = ""

    def look(self, wait_s: float) -> None:
        """Hear the news, and wait a little for it."""
        event = self._mailbox.get(wait_s)
        while event is not None:
            if isinstance(event, Authorised):
                self._until_ns = event.until_ns
            elif isinstance(event, Start) and self.start_s is None:
                self.start_s = event.start_s
            elif isinstance(event, Stop):
                self._told = True
            elif isinstance(event, Revoked):
                self.why = self.why or "the coordinator gave this attempt up"
            event = self._mailbox.get(0)
        if self._worker.draining.is_set():
            self.why = self.why or "the worker is draining"
        if boot_ns() > self._until_ns:
            self.why = self.why or "no coordinator was heard of for too long"

    def over(self) -> bool:
        """Whether there is nothing more to do."""
        return self._told or bool(self.why)


@contextmanager
def _hooked(task: ShardTask, spec: WatchSpec, worker: Worker, *, clock: MonitorClock) -> Iterator[None]:
    """Tell of the alerts that Alertmanager sends to this worker, as long as the block lasts.

    `clock`: of who evaluates the rules, for it stamps what Alertmanager passes on.
    """
    key = f"{task.campaign} {task.attempt}"
    told: set[tuple[str, str, float]] = set()

    def tell(sent: Sent) -> None:
        once = (sent.alert, sent.state, sent.fired_s)
        if once in told or len(told) >= MOST_SENT:
            return
        told.add(once)
        fact = AlertSeen(
            at_s=sent.came_s,
            attempt=task.attempt,
            alert=sent.alert,
            source="webhook",
            state=sent.state,
            fired_s=clock.common(sent.fired_s),
            ended_s=clock.common(sent.ended_s),
            received_s=sent.came_s,
            uncertainty_s=worker.clock.reading().uncertainty_s + clock.uncertainty_s,
        )
        worker.link.say(task.campaign, fact)

    worker.hooks.listen(key, frozenset(spec.alerts), tell)
    try:
        yield
    finally:
        worker.hooks.release(key)


MOST_SENT = 500
"""Different alerts of one attempt that webhooks may tell of: whoever reaches the port fills no journal."""


def _silences(task: ShardTask, spec: WatchSpec, worker: Worker) -> Silences | None:
    monitor = spec.monitor
    if monitor is None or not monitor.alertmanager or not spec.silences:
        return None

    def say(fact: Silenced) -> None:
        worker.link.say(task.campaign, fact)

    return Silences(
        place=_placing(worker)(monitor.alertmanager, monitor.headers, monitor.tls),
        specs=spec.silences,
        attempt=task.attempt,
        what=f"shakeout {spec.campaign}, phase {spec.phase}",
        folder=worker.settings.home / "silences" / worker.settings.name,
        life=worker.link.incarnation,
        say=say,
    )


def _placing(worker: Worker) -> "partial[Place]":
    """`place_of` with this worker's own settings, clock and files."""

    def local(ref: FileRef) -> Path:
        folder = worker.settings.home / "files"
        return fetch(worker.link.open_client(), ref.sha256, folder=folder, name=ref.name)

    return partial(place_of, settings=worker.settings, clock=worker.clock.now, local=local)
