"""Data files of a campaign: which it names, and their way into Redis by content, in chunks."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import redis

from orchestrator.campaign.models import (
    Campaign,
    FileData,
    LoadActivity,
    RegressionActivity,
    SearchActivity,
    SoakActivity,
    Target,
)
from orchestrator.errors import UsageError
from workers.contract import names

CHUNK_BYTES = 1024 * 1024
MOST_BYTES = 64 * 1024 * 1024
"""Larger files travel by an fsspec URL, not through Redis."""
KEPT_S = 48 * 3600


def files_of(campaign: Campaign) -> tuple[str, ...]:
    """Every path that workers need, as the campaign file writes it, each once."""
    return tuple(dict.fromkeys(_paths(campaign)))


def _paths(campaign: Campaign) -> Iterator[str]:
    for target in campaign.targets.values():
        if isinstance(target, Target):
            tls = (target.tls.ca, target.tls.cert, target.tls.key) if target.tls else ()
            yield from (path for path in (*tls, target.tokenizer) if path)
    for phase in campaign.phases:
        for activity in phase.activities:
            if isinstance(activity, LoadActivity | SoakActivity | SearchActivity) and isinstance(
                activity.data, FileData
            ):
                yield activity.data.file
            if isinstance(activity, RegressionActivity) and activity.golden:
                yield activity.golden


def store_files(client: redis.Redis, base: Path, paths: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """Put each file into Redis under its sha256, unless it is there; returns path -> (sha256, size).

    Raises UsageError for one that is too large to go through Redis.
    """
    stored: dict[str, tuple[str, int]] = {}
    for path in paths:
        body = (base / path).read_bytes()
        if len(body) > MOST_BYTES:
            limit = MOST_BYTES // 2**20
            raise UsageError(
                f"{path}: {len(body) / 2**20:.0f} MiB; up to {limit} MiB go through Redis, say a URL"
            )
        sha256 = hashlib.sha256(body).hexdigest()
        key = names.file_chunks(sha256)
        if not client.exists(key):
            pipe = client.pipeline(transaction=True)
            pipe.delete(key)
            for start in range(0, max(len(body), 1), CHUNK_BYTES):
                pipe.rpush(key, body[start : start + CHUNK_BYTES])
            pipe.expire(key, KEPT_S)
            pipe.execute()
        stored[path] = (sha256, len(body))
    return stored
