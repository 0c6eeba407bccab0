"""What a run leaves on its machine beside its results: nothing, unless a fault could not be undone."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from workers.contract.left_ledgers import note, open_in, where_noted

WAITS_S = 5.0
"""A guardian whose worker was killed needs some milliseconds; longer means that its revert does not work."""
_LOOKS_EVERY_S = 0.02


def clear(work: Path) -> tuple[Path, ...]:
    """Remove the folder of a run's parts, but for ledgers that are open after WAITS_S; return these.

    A ledger that is removed under a guardian lets the fault be. Those that stay are noted for whatever worker
    starts next on this host.
    """
    until_s = time.monotonic() + WAITS_S
    while (left := _open(work)) and time.monotonic() < until_s:
        time.sleep(_LOOKS_EVERY_S)
    if not left:
        shutil.rmtree(work, ignore_errors=True)
        return ()
    for path in (*work.iterdir(), *(each for ledger in left for each in ledger.parent.iterdir())):
        if not any(path == ledger or path in ledger.parents for ledger in left):
            _remove(path)
    for ledger in left:
        with suppress(OSError):
            note(where_noted(os.environ), ledger)
    return left


def words(ledger: Path) -> str:
    """What to say of a ledger that stays."""
    names = ", ".join(path.stem for path in open_in(ledger))
    return (
        f"A FAULT IS NOT UNDONE ({names}): its guardian goes on trying for ten minutes, the next worker or "
        f"`shakeout run` of this user on this machine tries again; what it needs is in {ledger}, keep that"
    )


def _open(work: Path) -> tuple[Path, ...]:
    return tuple(ledger for ledger in sorted(work.glob("*/ledger")) if open_in(ledger))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
