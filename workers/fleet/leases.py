"""Staying alive in the fleet's eyes: one thread renews all running attempts' leases and the worker's card.

What a renewal buys is a fence: the engine may send until the START of the last successful renewal plus the
campaign's `on_lost_coordinator`, on CLOCK_BOOTTIME. No answer, or no leader, buys nothing, and the engine
falls silent by itself. The red button is looked at in the same round, so it works without a coordinator too.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import msgspec
import redis

from workers.clock import MEASURE_EVERY_S, boot_ns
from workers.contract.broker import names, scripts
from workers.contract.broker.notices import Notice, leave
from workers.contract.control import Stop
from workers.contract.decoding import guarded
from workers.contract.errors import ShakeoutWorkerError
from workers.contract.facts import WorkerCard
from workers.contract.proxies import ProxyShown
from workers.contract.signed.drains import Drains
from workers.contract.signed.halts import Halts, Press
from workers.contract.signed.signing import SignatureError
from workers.fleet.drain import Drain
from workers.fleet.refusals import Refusals
from workers.fleet.renewals import TAKEN, Renewals
from workers.fleet.versions import Versions
from workers.gpus import Devices
from workers.inventory import shown
from workers.link import AGAIN_AFTER_S, AWAY, SAY_AWAY_EVERY_S, Link

_read_card = guarded(msgspec.json.Decoder(WorkerCard).decode)
log = logging.getLogger(__name__)


class NameTakenError(ShakeoutWorkerError):
    """Another live worker has this name."""


@dataclass(frozen=True, slots=True)
class Authorised:
    """Sending is allowed until this time of CLOCK_BOOTTIME."""

    until_ns: int


@dataclass(frozen=True, slots=True)
class Revoked:
    """The leader gave this attempt up: not one more request."""


Tell = Callable[[Authorised | Revoked | Stop], None]


@dataclass(frozen=True, slots=True)
class Held:
    """An attempt that runs here, and whom to tell about its lease."""

    campaign: str
    attempt: str
    fence_s: float
    tell: Tell


class Leases:
    """The renewing thread and what it renews; `drain` hears of orders to leave, and of a name that was lost.

    `devices`: the GPUs as they were seen last, `proxies` those that stand; neither may block.
    """

    def __init__(
        self,
        link: Link,
        *,
        card: WorkerCard,
        devices: Callable[[], Devices],
        drain: Drain,
        proxies: Callable[[], tuple[ProxyShown, ...]] = lambda: (),
    ) -> None:
        self._link, self._card, self._drain, self._proxies = link, card, drain, proxies
        self._devices = devices
        self._halts = Halts(link.settings.people)
        self._drains = Drains(link.settings.people, worker=card.worker, incarnation=card.incarnation)
        self.refusals = Refusals()
        self._held: dict[tuple[str, str], Held] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._shows = threading.Event()
        self._client = link.open_client()
        self._renewals = Renewals(card.worker, replicated=link.replicated)
        self._versions = Versions(card.version)
        self._server = ""
        self._measured_s = self._carded_s = 0.0
        self._said_s = float("-inf")
        self._thread = threading.Thread(target=self._run, name="link-leases", daemon=True)

    def start(self) -> None:
        """Take the name, then begin to renew. Raises NameTakenError where a live worker has it.

        Waits for Redis as long as it takes; a dead holder's card is waited out, a live one's is seen to move.
        """
        first_seen_s: float | None = None
        while True:
            try:
                server = str(self._client.info("server")["run_id"])
                if server != self._server:
                    self._measure(server)
                    self._server = server
                self._look_at_button(cast("dict[bytes, bytes]", self._client.hgetall(names.HALT)))
                if self._show_card(self._client):
                    break
                holder = self._holder()
            except AWAY as error:
                log.warning("waiting: %s", self._link.explained(error))
                time.sleep(5 * AGAIN_AFTER_S)
                continue
            seen_s = holder.seen_s if holder is not None else 0.0
            first_seen_s = seen_s if first_seen_s is None else first_seen_s
            if holder is not None and seen_s > first_seen_s:
                raise self._taken_by(holder)
            time.sleep(AGAIN_AFTER_S)
        self._thread.start()

    def hold(self, held: Held) -> None:
        """Renew this attempt from now on, the first time at once."""
        with self._lock:
            self._held[held.campaign, held.attempt] = held
        self._wake.set()

    def release(self, campaign: str, attempt: str) -> None:
        """The attempt is over."""
        with self._lock:
            self._held.pop((campaign, attempt), None)

    def show(self) -> None:
        """Show the card now; it has changed."""
        self._shows.set()
        self._wake.set()

    def halted(self) -> Press | None:
        """Who pressed the red button, if it holds."""
        return self._halts.halted()

    def close(self) -> None:
        """Stop renewing, and take the card back if Redis is there."""
        self._closing.set()
        self._wake.set()
        self._thread.join(4 * names.LEASE_EVERY_S)
        try:
            self._client.eval(scripts.CARD_GONE, 1, names.WORKERS, self._card.worker, self._card.incarnation)
        except AWAY as error:
            log.warning("the card stays until it expires: %s", self._link.explained(error))

    def _run(self) -> None:
        pause_s = 0.0
        while not self._closing.is_set():
            self._wake.wait(pause_s)
            self._wake.clear()
            began_s = time.monotonic()
            pause_s = AGAIN_AFTER_S
            try:
                self._round()
                pause_s = max(0.0, began_s + names.LEASE_EVERY_S - time.monotonic())
            except AWAY as error:
                if began_s - self._said_s > SAY_AWAY_EVERY_S:
                    self._said_s = began_s
                    log.warning("leases are not renewed: %s", self._link.explained(error))

    def _round(self) -> None:
        """One round trip that renews everything, then what follows from its answers."""
        with self._lock:
            held = list(self._held.values())
        by_campaign: dict[str, list[Held]] = {}
        for each in held:
            by_campaign.setdefault(each.campaign, []).append(each)
        began_ns = boot_ns()
        attempts = {campaign: [each.attempt for each in group] for campaign, group in by_campaign.items()}
        found = self._renewals.renew(self._client, attempts)
        server = str(found.info["run_id"])
        if server != self._server:
            self._measure(server)
            self._claim_again(held)
            self._server = server  # only now: a failure in between is tried again
            return
        self._look_at_button(found.pressed)
        self._look_at_drain(found.asked)
        halted = self._halts.halted()
        for campaign, group in by_campaign.items():
            for each, answer in zip(group, found.answers[campaign], strict=True):
                _tell(each, answer, began_ns=began_ns, halted=halted)
        due = self._shows.is_set() or time.monotonic() - self._carded_s >= names.CARD_EVERY_S
        if due and not self._show_card(self._client):
            log.error("another worker took the name %s while this one stalled", self._card.worker)
            self._drain.at_once("another worker has its name")
        if time.monotonic() - self._measured_s > MEASURE_EVERY_S:
            self._measure(server)  # only now: what was renewed has been told
        self._versions.look(self._client)

    def _measure(self, server: str) -> None:
        """Ask the server for its time; another server is another clock."""
        self._link.clock.measure(self._client, server=server)
        self._measured_s = time.monotonic()

    def _look_at_button(self, pressed: Mapping[bytes, bytes]) -> None:
        for why in self._halts.read(pressed, now_s=self._link.clock.now()):
            self.refusals.add(why)

    def _look_at_drain(self, body: bytes | None) -> None:
        try:
            asked = self._drains.read(body, now_s=self._link.clock.now())
        except SignatureError as error:
            self.refusals.add(str(error))
            return
        if asked is not None:
            self._drain.order(asked.words())

    def _claim_again(self, held: list[Held]) -> None:
        """A new server may lack what the old one acknowledged; what is to be sent again the sender knows."""
        log.warning("Redis is another server now: claiming again")
        self._link.moves += 1
        for each in held:
            if not self._link.claim_call(self._client, each.campaign, each.attempt, expires_s=0):
                each.tell(Revoked())

    def _show_card(self, client: redis.Redis) -> bool:
        self._shows.clear()
        draining = self._drain.asked.is_set()
        card = shown(self._card, self._link.clock, draining=draining, devices=self._devices())
        refused, why = self.refusals.so_far()
        card = msgspec.structs.replace(
            card,
            trusts=tuple(key.id for key in self._link.settings.keys.keys),
            halted=self._halts.halted() is not None,
            refused=refused,
            refused_why=why,
            proxies=self._proxies(),
        )
        lives_ms = str(round(names.CARD_S * 1000))
        body = msgspec.json.encode(card)
        answer = client.eval(scripts.CARD, 1, names.WORKERS, card.worker, card.incarnation, body, lives_ms)
        self._carded_s = time.monotonic()
        return bool(answer == 1)

    def _holder(self) -> WorkerCard | None:
        body = self._client.hget(names.WORKERS, self._card.worker)
        with suppress(msgspec.DecodeError):  # of another version, or nobody's
            return _read_card(body) if isinstance(body, bytes) else None
        return None

    def _taken_by(self, holder: WorkerCard) -> NameTakenError:
        """Leave a notice for `doctor`, and say who has the name."""
        where = f"pid {holder.pid} on host {holder.host}"
        me = self._card
        with suppress(*AWAY):
            leave(self._client, Notice(me.worker, me.host, me.pid, f"its name is taken by {where}"))
        return NameTakenError(
            f"a live worker is called {me.worker} already ({where}): stop it, or use another --name"
        )


def _tell(held: Held, answer: int, *, began_ns: int, halted: Press | None) -> None:
    if halted is not None:
        held.tell(Stop(held.campaign, held.attempt, halted.words()))
    elif answer == TAKEN:
        held.tell(Revoked())
    elif answer > 0:
        held.tell(Authorised(began_ns + round(held.fence_s * 1e9)))
