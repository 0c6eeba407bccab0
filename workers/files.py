"""Data files by content: fetched once from Redis in chunks, checked, and kept in this worker's home.

Several workers of a host may share the folder: a file appears under its sha256 only when it is whole.
"""

import hashlib
import os
import time
from pathlib import Path

import redis

from workers.contract import names
from workers.contract.errors import DataError
from workers.link import AGAIN_AFTER_S, AWAY

FETCH_WITHIN_S = 60.0
"""64 MiB over a slow line; a phase is placed within 60 s by default."""
MOST_CHUNKS = 64
"""Of 1 MiB: what Redis holds of one file at most."""


def fetch(client: redis.Redis, sha256: str, *, folder: Path, name: str) -> Path:
    """The file with that content, from the folder or from Redis. Raises DataError that names it by `name`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha256
    if path.exists():
        return path
    part = folder / f"{sha256}.{os.getpid()}-{time.monotonic_ns()}.part"
    try:
        found = _download(client, sha256, part=part, name=name)
        if found != sha256:
            raise DataError(
                f"{name}: its chunks in Redis do not add up to sha256 {sha256[:12]}...; submit it again"
            )
        part.rename(path)
    except OSError as error:
        raise DataError(f"{name} cannot be kept in {folder}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _download(client: redis.Redis, sha256: str, *, part: Path, name: str) -> str:
    """Write the chunks to `part` and return the sha256 of what came."""
    digest = hashlib.sha256()
    until_s = time.monotonic() + FETCH_WITHIN_S
    with part.open("wb") as file:
        for place in range(MOST_CHUNKS + 1):
            chunk = _chunk(client, names.file_chunks(sha256), place, until_s=until_s, name=name)
            if chunk is None and place == 0:
                raise DataError(
                    f"{name} (sha256 {sha256[:12]}...) is not in Redis: submit the campaign again"
                )
            if chunk is None:
                return digest.hexdigest()
            digest.update(chunk)
            file.write(chunk)
    raise DataError(f"{name} has more than {MOST_CHUNKS} chunks in Redis")


def _chunk(client: redis.Redis, key: str, place: int, *, until_s: float, name: str) -> bytes | None:
    while True:
        try:
            chunk = client.lindex(key, place)
        except AWAY as error:
            if time.monotonic() > until_s:
                raise DataError(
                    f"{name} could not be fetched within {FETCH_WITHIN_S:g} s: {error}"
                ) from error
            time.sleep(AGAIN_AFTER_S)
        else:
            return chunk if isinstance(chunk, bytes) else None
