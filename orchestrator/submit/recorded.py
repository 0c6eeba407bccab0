"""Recorded arrivals on their way: read beside the campaign file, packed into Redis, held by leaders."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Final

import redis

from orchestrator.campaign.files import is_url
from orchestrator.campaign.models import Campaign, LoadActivity, SoakActivity
from orchestrator.errors import ShakeoutError, UsageError
from orchestrator.plan import activity_keys
from orchestrator.submit.files import MOST_BYTES, keep_chunks, local_copy
from orchestrator.urls import CHUNK_BYTES
from workers.contract.broker import names
from workers.contract.broker.connection import masked
from workers.contract.files.trace_files import read_trace
from workers.contract.files.traces import Times, Trace, hold, pack, trace_of, unpack

MOST_AT_ONCE: Final = 4
"""Recordings remembered by one command, which reads them to check, to plan and to submit."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One activity's recorded arrivals; while it is kept, this process can be asked for their times."""

    trace: Trace
    packed: bytes
    times: Times


def read_recordings(campaign: Campaign, base: Path) -> dict[str, Recording]:
    """Activity key -> its recording, of each load and soak that replays one.

    Raises DataError for a broken file, all of its lines at once; UsageError for one that cannot be fetched,
    or whose times are too many for Redis.
    """
    keys = activity_keys(campaign)
    return {
        keys[phase.name, activity.name]: read_recording(
            base, activity.arrivals.trace, speed=activity.arrivals.speed
        )
        for phase in campaign.phases
        for activity in phase.activities
        if isinstance(activity, LoadActivity | SoakActivity) and activity.arrivals.trace is not None
    }


def summaries(recordings: Mapping[str, Recording]) -> dict[str, Trace]:
    """What a plan needs of them."""
    return {key: one.trace for key, one in recordings.items()}


def store_recordings(client: redis.Redis, recordings: Iterable[Recording], *, for_s: int) -> None:
    """Put the packed times into Redis, where workers and leaders find them for `for_s` seconds at least."""
    for one in recordings:
        pieces = [one.packed[at : at + CHUNK_BYTES] for at in range(0, len(one.packed), CHUNK_BYTES)]
        keep_chunks(client, one.trace.sha256, pieces, for_s=for_s)


def fetch_times(client: redis.Redis, traces: Iterable[Trace]) -> tuple[Times, ...]:
    """Hold what a campaign's schedules need, for as long as the result is kept.

    Raises ShakeoutError where Redis no longer has it.
    """
    return tuple(_fetch(client, trace) for trace in traces)


def _fetch(client: redis.Redis, trace: Trace) -> Times:
    key = names.file_chunks(trace.sha256)
    asked = (client.lindex(key, place) for place in range(MOST_BYTES // CHUNK_BYTES + 1))
    packed = b"".join(takewhile(lambda piece: piece is not None, asked))  # type: ignore[arg-type]
    if hashlib.sha256(packed).hexdigest() != trace.sha256:
        raise ShakeoutError(f"the times of {masked(trace.name)} are no longer in Redis; submit it again")
    return hold(trace, unpack(packed, name=masked(trace.name)))


def read_recording(base: Path, path: str, *, speed: float) -> Recording:
    """One recording of a file or URL, at a speed. Raises as `read_recordings` does."""
    file = base / path
    stamp = file.stat().st_mtime_ns if not is_url(path) and file.exists() else 0
    recorded, packed = _recorded(base, path, stamp)
    trace = trace_of(recorded, packed=packed, name=path, speed=speed)
    return Recording(trace, packed, hold(trace, recorded))


@lru_cache(MOST_AT_ONCE)
def _recorded(base: Path, path: str, stamp: int) -> tuple[Times, bytes]:  # noqa: ARG001  # part of the key
    """The times of a file, as long as its `stamp` stays the same, and their packed form."""
    with local_copy(base, path) as file:
        times = read_trace(file, name=path)
    packed = pack(times)
    if len(packed) > MOST_BYTES:
        limit = MOST_BYTES // 2**20
        raise UsageError(f"{path} has too many arrivals: packed they are more than {limit} MiB; split it")
    return times, packed
