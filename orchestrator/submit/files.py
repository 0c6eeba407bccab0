"""Data files of a campaign: which it names, and their way into Redis by content, in chunks."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

import redis

from orchestrator.campaign.arrivals import Lengths
from orchestrator.campaign.fault_clients import files_of_faults
from orchestrator.campaign.files import is_url
from orchestrator.campaign.models import (
    Campaign,
    ChaosActivity,
    FileData,
    LoadActivity,
    RegressionActivity,
    SearchActivity,
    SoakActivity,
    SyntheticData,
    Target,
)
from orchestrator.errors import UsageError
from orchestrator.urls import CHUNK_BYTES, chunks
from workers.contract.broker import names

MOST_BYTES = 64 * 1024 * 1024
"""Larger files are fetched by every worker from their URL, not through Redis."""
KEPT_S = 48 * 3600
"""How long files stay in Redis, at least; submissions add how long their campaign's schedules run."""


def files_of(campaign: Campaign) -> tuple[str, ...]:
    """Every path that workers need, as the campaign file writes it, each once."""
    return tuple(dict.fromkeys(_paths(campaign)))


def _paths(campaign: Campaign) -> Iterator[str]:
    for target in campaign.targets.values():
        tls = (target.tls.ca, target.tls.cert, target.tls.key) if target.tls else ()
        tokenizer = target.tokenizer if isinstance(target, Target) else None
        yield from (path for path in (*tls, tokenizer) if path)
    for phase in campaign.phases:
        for activity in phase.activities:
            if isinstance(activity, LoadActivity | SoakActivity | SearchActivity):
                yield from _of_data(activity.data)
            if isinstance(activity, RegressionActivity) and activity.golden:
                yield activity.golden
            if isinstance(activity, ChaosActivity):
                yield from files_of_faults(activity)


def _of_data(data: FileData | SyntheticData | None) -> Iterator[str]:
    if isinstance(data, FileData):
        yield data.file
    if isinstance(data, SyntheticData):
        made = data.synthetic
        for length in (made.input_tokens, made.output_tokens, made.shared_prefix):
            if isinstance(length, Lengths) and length.histogram is not None:
                yield length.histogram


def code_of(campaign: Campaign, base: Path) -> dict[str, tuple[str, int]]:
    """Each locustfile's sha256 and size: workers hold their own copy against it, none is sent to them.

    Raises UsageError for one that cannot be read.
    """
    found = {}
    for phase in campaign.phases:
        for activity in phase.activities:
            name = activity.locustfile if isinstance(activity, LoadActivity | SoakActivity) else None
            if name is not None:
                pieces = list(_chunks(base, name))
                digest = hashlib.sha256(b"".join(pieces)).hexdigest()
                found[name] = (digest, sum(len(piece) for piece in pieces))
    return found


def store_files(
    client: redis.Redis, base: Path, paths: tuple[str, ...], *, for_s: int = KEPT_S
) -> dict[str, tuple[str, int]]:
    """Put each file into Redis under its sha256, unless it is there; returns path -> (sha256, size).

    They stay for `for_s` seconds at least.

    One that is too large for Redis is only read, where its path is a URL: workers fetch it from there, and
    hold it against the sha256. Raises UsageError for a large one without a URL, and for one that cannot be
    read.
    """
    return {path: _store(client, base, path, for_s=for_s) for path in paths}


@contextmanager
def local_copy(base: Path, path: str) -> Iterator[Path]:
    """The file on this machine, while it is looked at; fetched where its path is a URL. Raises UsageError."""
    if not is_url(path):
        yield base / path
        return
    with NamedTemporaryFile(prefix="shakeout-") as file:
        for chunk in _chunks(base, path):
            file.write(chunk)
        file.flush()
        yield Path(file.name)


def _store(client: redis.Redis, base: Path, path: str, *, for_s: int) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    kept: list[bytes] = []
    for chunk in _chunks(base, path):
        digest.update(chunk)
        size += len(chunk)
        if size <= MOST_BYTES:
            kept.append(chunk)
        elif not is_url(path):
            limit = MOST_BYTES // 2**20
            raise UsageError(
                f"{path} is larger than {limit} MiB, the most that goes through Redis: put it where all "
                "workers can fetch it, and say its URL (s3://..., https://..., file:///mounted/everywhere)"
            )
    sha256 = digest.hexdigest()
    if size <= MOST_BYTES:
        keep_chunks(client, sha256, kept or [b""], for_s=for_s)
    return sha256, size


def keep_chunks(client: redis.Redis, sha256: str, pieces: Sequence[bytes], *, for_s: int) -> None:
    """Put a file's pieces of 1 MiB under its sha256, unless they are there.

    They stay for `for_s` seconds, or longer where another campaign needs them for longer.
    """
    key = names.file_chunks(sha256)
    left_s = client.ttl(key)
    if left_s >= for_s or client.expire(key, for_s):
        return
    pipe = client.pipeline(transaction=True)
    pipe.delete(key)
    for piece in pieces:
        pipe.rpush(key, piece)
    pipe.expire(key, for_s)
    pipe.execute()


def prolong(client: redis.Redis, sha256s: Iterable[str], *, for_s: int) -> None:
    """Let files stay for `for_s` seconds from now on, at least: their campaign still waits for its turn."""
    for sha256 in sha256s:
        key = names.file_chunks(sha256)
        if 0 <= client.ttl(key) < for_s:
            client.expire(key, for_s)


def _chunks(base: Path, path: str) -> Iterator[bytes]:
    """The file in pieces of 1 MiB at most. Raises UsageError."""
    try:
        if is_url(path):
            yield from chunks(path)
            return
        with (base / path).open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece
    except OSError as error:
        raise UsageError(f"file {path} cannot be read: {error.strerror or error}") from error
