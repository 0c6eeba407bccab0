"""Ledgers of faults that stayed open though their worker's folder is not used again, as after a `run`.

They stay where they are, for their guardians look there; a note of each lies where the next worker of this
host finds it, whatever it is a part of.
"""

import shutil
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

LEFT_VARIABLE = "SHAKEOUT_LEFT_LEDGERS"
FOLDER = "left-ledgers"


def where_noted(environment: Mapping[str, str]) -> Path:
    """The folder of notes: SHAKEOUT_LEFT_LEDGERS, else in the state folder of this host's workers."""
    said = environment.get(LEFT_VARIABLE, "")
    home = environment.get("SHAKEOUT_HOME", "")
    return Path(said) if said else (Path(home) if home else Path.home() / ".cache" / "shakeout") / FOLDER


def open_in(ledger: Path) -> list[Path]:
    """The entries of a ledger that are not undone."""
    return sorted(ledger.glob("*.json"))


def note(place: Path, ledger: Path) -> None:
    """Leave a note of a ledger. Raises OSError where the disk refuses."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    _note(place, ledger).write_text(f"{ledger.absolute()}\n")


def noted(place: Path) -> tuple[Path, ...]:
    """The ledgers that are noted there; notes that cannot be read are left out."""
    found: list[Path] = []
    for path in sorted(place.glob("*.txt")):
        with suppress(OSError, UnicodeDecodeError):
            found.append(Path(path.read_text().strip()))
    return tuple(found)


def settle(place: Path, ledger: Path) -> bool:
    """Forget a ledger in which nothing is open any more, and remove it; whether that is so."""
    if open_in(ledger):
        return False
    shutil.rmtree(ledger, ignore_errors=True)
    with suppress(OSError):  # what else is in them is not ours
        ledger.parent.rmdir()
        ledger.parent.parent.rmdir()
    _note(place, ledger).unlink(missing_ok=True)
    with suppress(OSError):
        place.rmdir()
    return True


def _note(place: Path, ledger: Path) -> Path:
    return place / f"{zlib.crc32(str(ledger.absolute()).encode()):08x}.txt"
