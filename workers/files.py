"""Data files by content: fetched once from Redis in chunks (or, large ones, from their URL), and kept here.

Several workers of a host may share the folder: a file appears under its sha256 only when it is whole.
"""

import hashlib
import os
import re
import threading
import time
from pathlib import Path
from typing import BinaryIO

import redis

from workers.contract.broker import names
from workers.contract.broker.connection import masked, masked_in
from workers.contract.broker.trouble import explain
from workers.contract.errors import DataError, DrainingError, HostError
from workers.link import AGAIN_AFTER_S, AWAY

FETCH_WITHIN_S = 60.0
"""64 MiB over a slow line; a phase is placed within 60 s by default."""
DOWNLOAD_WITHIN_S = 900.0
"""Of a file behind a URL: some GiB; meanwhile the phase waits, up to its place_within."""
CHUNK_BYTES = 1024 * 1024
MOST_CHUNKS = 64
"""Of 1 MiB: what Redis holds of one file at most."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch(
    client: redis.Redis, sha256: str, *, folder: Path, name: str, stop: threading.Event | None = None
) -> Path:
    """The file with that content, from the folder, Redis or its URL.

    `name`: its path or URL in the campaign file. `stop`: set when the worker is to leave. Raises DataError,
    which shows no login of a URL, HostError where the folder cannot be written, DrainingError.
    """
    if not _SHA256.fullmatch(sha256):  # it becomes a path, and must not lead out of the folder
        raise DataError(f"{masked(name)}: {sha256[:80]!r} is no sha256; submit the campaign again")
    path = folder / sha256
    if path.exists():
        return path
    part = folder / f"{sha256}.{os.getpid()}-{time.monotonic_ns()}.part"
    shown = masked(name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # keys for TLS are among them
        found = _download(client, sha256, part=part, name=name, stop=stop or threading.Event())
        if found != sha256:
            raise DataError(f"{shown}: what came does not add up to sha256 {sha256[:12]}...; submit it again")
        part.rename(path)
    except OSError as error:
        raise HostError(f"{shown} cannot be kept in {folder}: {error.strerror}; make room there") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _download(client: redis.Redis, sha256: str, *, part: Path, name: str, stop: threading.Event) -> str:
    """Write the chunks to `part` and return the sha256 of what came."""
    digest, shown = hashlib.sha256(), masked(name)
    until_s = time.monotonic() + FETCH_WITHIN_S
    with part.open("wb") as file:
        for place in range(MOST_CHUNKS + 1):
            chunk = _chunk(client, names.file_chunks(sha256), place, until_s=until_s, name=shown, stop=stop)
            if chunk is None and place == 0 and "://" in name:
                return _from_url(name, file, stop)
            if chunk is None and place == 0:
                raise DataError(
                    f"{shown} (sha256 {sha256[:12]}...) is not in Redis: submit the campaign again"
                )
            if chunk is None:
                return digest.hexdigest()
            if len(chunk) > CHUNK_BYTES:
                raise DataError(f"{shown} has chunks of over 1 MiB in Redis: submit the campaign again")
            digest.update(chunk)
            file.write(chunk)
    raise DataError(f"{shown} has more than {MOST_CHUNKS} chunks in Redis")


def _from_url(url: str, file: BinaryIO, stop: threading.Event) -> str:
    """Write what is behind a URL: a file too large for Redis; its sha256. Raises DataError."""
    import fsspec  # noqa: PLC0415  # few workers ever need it

    digest = hashlib.sha256()
    until_s = time.monotonic() + DOWNLOAD_WITHIN_S
    try:
        with fsspec.open(url, "rb") as source:
            while (chunk := source.read(CHUNK_BYTES)) and time.monotonic() < until_s and not stop.is_set():
                digest.update(chunk)
                file.write(chunk)
    except Exception as error:  # file systems raise whatever their libraries do
        why = masked_in(f"{type(error).__name__}: {error}", url)
        raise DataError(f"{masked(url)} cannot be fetched by this worker: {why}") from error
    if chunk and stop.is_set():
        raise DrainingError
    if chunk:
        raise DataError(f"{masked(url)} could not be fetched within {DOWNLOAD_WITHIN_S:g} s")
    return digest.hexdigest()


def _chunk(
    client: redis.Redis, key: str, place: int, *, until_s: float, name: str, stop: threading.Event
) -> bytes | None:
    while True:
        try:
            chunk = client.lindex(key, place)
        except AWAY as error:
            if time.monotonic() > until_s:
                raise DataError(
                    f"{name} could not be fetched within {FETCH_WITHIN_S:g} s: {explain(error, '')}"
                ) from error
            if stop.wait(AGAIN_AFTER_S):
                raise DrainingError from error
        else:
            return chunk if isinstance(chunk, bytes) else None
