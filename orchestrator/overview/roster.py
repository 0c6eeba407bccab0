"""The fleet's workers as an operator wants to see them: from their cards, pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.checkup.card import troubles
from orchestrator.coordinator.cards import CoordinatorCard
from workers.contract.broker.names import CARD_S
from workers.contract.calibration import Calibration
from workers.contract.facts import Gpu, WorkerCard
from workers.contract.proxies import ProxyShown

SHOWN_FOR_S = 600.0
"""A worker that has gone without a word is shown for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker; the field names are keys of `workers --json`.

    `state`: alive, draining, halted, or gone (silent for `silent_s`). `used`: slots that hold a shard.
    `troubles`: why it would get no work, or what is not as it should be. `calibration`: what one engine can
    do there, where `doctor --calibrate` measured it. `proxies`: those that stand there, or should.
    """

    worker: str
    host: str
    state: Literal["alive", "draining", "halted", "gone"]
    version: str
    slots: int
    used: int
    labels: tuple[str, ...]
    gpus: tuple[Gpu, ...]
    driver: str
    cores: int
    memory_bytes: int
    clock_offset_s: float
    clock_uncertainty_s: float
    pid: int
    trusts: tuple[str, ...]
    refused: int
    refused_why: str
    silent_s: float
    troubles: tuple[str, ...]
    calibration: Calibration | None = None
    proxies: tuple[ProxyShown, ...] = ()

    @property
    def free(self) -> int:
        """Slots that could take a shard now."""
        return max(0, self.slots - self.used) if self.state == "alive" else 0


def roster(
    cards: Iterable[WorkerCard],
    *,
    used: Mapping[str, int],
    leader: CoordinatorCard | None,
    version: str,
    now_s: float,
) -> tuple[Worker, ...]:
    """Every worker that showed its card lately, by name.

    `version`: what to hold theirs against where no leader says its own.
    """
    shown = [card for card in cards if now_s - card.seen_s < SHOWN_FOR_S]
    return tuple(
        _worker(card, used=used.get(card.worker, 0), leader=leader, version=version, now_s=now_s)
        for card in sorted(shown, key=lambda card: card.worker)
    )


def _worker(
    card: WorkerCard, *, used: int, leader: CoordinatorCard | None, version: str, now_s: float
) -> Worker:
    silent_s = max(0.0, now_s - card.seen_s)
    state: Literal["alive", "draining", "halted", "gone"] = "alive"
    if silent_s >= CARD_S:
        state = "gone"
    elif card.draining:
        state = "draining"
    elif card.halted:
        state = "halted"
    found = troubles(card, leader=leader, version=version)
    return Worker(
        worker=card.worker,
        host=card.host,
        state=state,
        version=card.version,
        slots=card.slots,
        used=used if state != "gone" else 0,
        labels=card.labels,
        gpus=card.gpus,
        driver=card.driver,
        cores=card.cores,
        memory_bytes=card.memory_bytes,
        clock_offset_s=card.offset_s,
        clock_uncertainty_s=card.uncertainty_s,
        pid=card.pid,
        trusts=card.trusts,
        refused=card.refused,
        refused_why=card.refused_why,
        silent_s=silent_s if state == "gone" else 0.0,
        troubles=tuple(one.what for one in found) if state != "gone" else (),
        calibration=card.calibration,
        proxies=card.proxies,
    )
