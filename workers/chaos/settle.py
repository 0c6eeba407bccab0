"""The end of a held fault: reverted, its entry closed, its guardian let go, and then told."""

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workers.chaos.arm import Armed
from workers.chaos.contract import FaultEvent
from workers.chaos.ledger import (
    REVERT_WITHIN_S,
    Entry,
    Undone,
    collect,
    forget,
    latest,
    put_back,
    recorded,
    write,
)
from workers.chaos.processes import boot_s
from workers.chaos.stage import LOOKS_EVERY_S, Stage
from workers.contract.errors import FaultError

GOES_ON_FOR_S = 20.0
"""How long the news of a revert that failed at first is waited for; the guardian goes on for longer."""

_TRIES_AT_LEAST_EVERY_S = 1.0
_AFTER_ITS_REVERT = "it may have been injected after its guardian had reverted it: put back once more"


@dataclass(frozen=True, slots=True)
class Held:
    """How a held fault went: whether it was in effect from first sight to the end, and what happened."""

    took_effect: bool
    why: tuple[str, ...]


def settle(stage: Stage, path: Path, *, armed: Armed, held: Held, known: Entry, injected_s: float) -> None:
    """Revert, unless the guardian has; close the ledger's entry; let the guardian go; then say so.

    What may have been injected after the guardian's revert (this agent was stopped in between, or starved) is
    opened again and put back once more. `injected_s`: when the injection was over; infinite where it was not:
    then it is told only if something is left.
    """
    entry = latest(path, known)
    if entry is None:
        entry = recorded(path) or known
        if entry.reverted_s and injected_s < entry.reverted_s - REVERT_WITHIN_S:
            armed.stand_down()
            _say_guardians(stage, collect(path), held)
            return
        with suppress(FaultError):  # a disk that refuses must not keep it in effect
            write(path, entry)
        collect(path)
        held = Held(took_effect=False, why=(*held.why, _AFTER_ITS_REVERT))
    undone = put_back(entry)
    if not undone.left:
        refused = _closed(path)
        ended = armed.stand_down()
        if math.isfinite(injected_s):
            why = "; ".join(filter(None, (refused, "" if ended else "its guardian did not end")))
            _say_undone(stage, held, entry, undone, why=why)
        return
    guarded = armed.lives()
    armed.hand_over()
    _say_undone(stage, held, entry, undone, why="tried again and again")
    _go_on(stage, path, held=held, entry=entry, guarded=guarded)


def _closed(path: Path) -> str:
    """Close the entry; say why it stays open."""
    try:
        forget(path)
    except FaultError as error:
        return str(error)
    return ""


def _go_on(stage: Stage, path: Path, *, held: Held, entry: Entry, guarded: bool) -> None:
    """See what could not be undone through for a while: its guardian tries again, or we do; say it if it is.

    After that the guardian goes on alone, and then the worker's next life.
    """
    until_s, wait_s = boot_s() + GOES_ON_FOR_S, LOOKS_EVERY_S
    while boot_s() < until_s:
        stage.wait(wait_s)
        wait_s = min(2 * wait_s, _TRIES_AT_LEAST_EVERY_S)
        if latest(path, entry) is None:
            _say_guardians(stage, collect(path), held)
            return
        if not guarded and not (undone := put_back(entry)).left:
            _say_undone(
                stage, held, entry, undone, why="; ".join(filter(None, ("undone at last", _closed(path))))
            )
            return


def _say_guardians(stage: Stage, entry: Entry | None, held: Held) -> None:
    """Say that the guardian has reverted the fault, by its record."""
    at_s = boot_s() if entry is None or entry.reverted_s is None else entry.reverted_s
    undone = Undone(at_s, did={} if entry is None else entry.did)
    why = f"reverted by the guardian: {entry.why if entry else 'its record is gone'}"
    _say_undone(stage, held, entry, undone, why=why)


def _say_undone(stage: Stage, held: Held, entry: Entry | None, undone: Undone, *, why: str) -> None:
    stage.emit(
        FaultEvent(
            "residue" if undone.left else "reverted",
            stage.clock() - (boot_s() - undone.at_s),
            entry.scene.processes if entry else (),
            took_effect=held.took_effect,
            why="; ".join(filter(None, (undone.left, *held.why, why))),
            did=undone.did,
        )
    )
