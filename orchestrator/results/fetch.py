"""Finished results out of Redis into a folder: what `submit --wait --out` and `report ID` leave there."""

import re
import secrets
from contextlib import suppress
from pathlib import Path

from orchestrator.coordinator.cards import kept_for
from orchestrator.errors import ShakeoutError
from orchestrator.results.results import ERROR, REPORT
from orchestrator.results.sealing import SEAL, check_file, read_seal
from orchestrator.store.store import Store
from workers.contract.broker import names
from workers.contract.signed.signing import NO_KEYS, Keys

MOST_FILES = 200
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class FetchError(ShakeoutError):
    """Redis holds no results of that campaign, or none that may be written."""


def why_no_report(store: Store, campaign: str) -> str:
    """Why a finished campaign has no report in Redis; "" where it has one. Raises redis errors."""
    key = names.results(campaign)
    if store.client.hexists(key, REPORT):
        return ""
    said: bytes | None = store.client.hget(key, ERROR)
    return said.decode(errors="replace").strip() if said is not None else "its results are no longer in Redis"


def sealed_verdict(store: Store, campaign: str, keys: Keys) -> str:
    """The verdict that a coordinator sealed. Raises SealError where these keys do not vouch for any."""
    return read_seal(store.client.hget(names.results(campaign), SEAL), campaign=campaign, keys=keys).verdict


def fetch(store: Store, campaign: str, folder: Path, *, keys: Keys = NO_KEYS) -> tuple[str, ...]:
    """Write every result into `folder`, each whole or not at all, report.json last; their names.

    Raises FetchError, SealError where there are `keys` and the results are not those that a coordinator
    sealed, OSError where the folder cannot be written, and redis errors.
    """
    key = names.results(campaign)
    there = {name.decode(errors="replace") for name in store.client.hkeys(key)}
    found = sorted(there - {SEAL}, key=_report_last)
    seal = (
        read_seal(store.client.hget(key, SEAL), campaign=campaign, keys=keys) if keys.keys and found else None
    )
    if not found:
        raise FetchError(
            f"the results of {campaign} are no longer in Redis, which keeps them for {kept_for(store)}"
        )
    strange = [name for name in found if not _PLAIN_NAME.fullmatch(name)]
    if strange or len(found) > MOST_FILES:
        what = f"a file named {strange[0]!r}" if strange else f"{len(found)} files"
        raise FetchError(f"the results of {campaign} in Redis hold {what}: nothing of them was written")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in found:
        body: bytes | None = store.client.hget(key, name)
        if body is None:
            raise FetchError(f"the results of {campaign} ran out of their time while they were fetched")
        if seal is not None:
            check_file(seal, name, body, campaign=campaign)
        _write(folder / name, body)
        written.append(name)
    return tuple(written)


def _report_last(name: str) -> tuple[bool, str]:
    """Where report.json stands, all results do."""
    return name == REPORT, name


def _write(path: Path, body: bytes) -> None:
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with new.open("xb") as file:
            file.write(body)
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
