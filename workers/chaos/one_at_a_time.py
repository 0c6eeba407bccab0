"""One fault a target at a time: what is under a fault on this host already, whoever holds it for whom."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.chaos.contract import FaultOrder, Scene, kind_of
from workers.chaos.ledger import Entry, make_folder, place, read
from workers.chaos.processes import boot_id, boot_s, words
from workers.contract.errors import ContractError, FaultError

ALONE_WITHIN_S = 5.0
"""To look and to write an entry takes some milliseconds; who holds the lock for longer is stopped."""

_TRIES_EVERY_S = 0.005


@contextmanager
def alone(ledger: Path) -> Iterator[None]:
    """Let nobody else of this host open an entry meanwhile; the kernel lets go where the holder dies.

    Raises FaultError where the disk refuses, or somebody holds it for ALONE_WITHIN_S.
    """
    try:
        make_folder(ledger)
        handle = os.open(ledger / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FaultError(f"ledger {ledger}: {error.strerror}; without it no fault is injected") from error
    try:
        _lock(handle, ledger)
        yield
    finally:
        os.close(handle)


def taken(ledger: Path, order: FaultOrder, *, scene: Scene, touched: tuple[str, ...]) -> str:
    """Which open fault of this host is on the same target, in plain words; empty where none is.

    That of this very order does not count: it is refused by name; nor does one that is only prepared, which
    asks again before it begins. An entry that cannot be read may be on any target.
    """
    mine = place(ledger, order)
    try:
        entries = sorted(ledger.glob("*.json"))
    except OSError:
        return ""  # who cannot look into it cannot write there, and injects nothing
    for path in entries:
        if path == mine:
            continue
        try:
            other = read(path)
        except ContractError as error:
            return str(error)
        if other is None or other.boot != boot_id() or not other.began:
            continue
        if shared := _shared(order, scene, touched, other):
            campaign, _, attempt = other.attempt.partition(" ")
            whose = f"fault {other.name} ({other.fault}) of campaign {campaign}, attempt {attempt}"
            return f"{shared} is under {whose} already: one fault a target at a time"
    return ""


def _shared(order: FaultOrder, scene: Scene, touched: tuple[str, ...], other: Entry) -> str:
    """What both are done to: a process, a thing by its name, or the whole host by the same fault."""
    held = {who.life for who in other.scene.processes}
    both = [who for who in scene.processes if who.life in held]
    if both:
        return words(both[0])
    if kind_of(order.fault).client:
        return ""  # a burst while others read slowly is what clients do: requests are not a target of theirs
    things = [thing for thing in touched if thing in other.touched]
    if things:
        return things[0]
    return "this host" if order.fault == other.fault and kind_of(order.fault).wide else ""


def _lock(handle: int, ledger: Path) -> None:
    until_s = boot_s() + ALONE_WITHIN_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if boot_s() >= until_s:
                raise FaultError(
                    f"ledger {ledger} is locked by another worker of this host for over {ALONE_WITHIN_S:g} s"
                ) from None
            time.sleep(_TRIES_EVERY_S)
        else:
            return
