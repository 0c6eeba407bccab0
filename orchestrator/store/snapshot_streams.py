"""Streams of snapshots in Redis: many read in one round trip, within bounds, trimmed once they are kept."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from workers.contract import snapshot as snap
from workers.contract.broker import names

SNAPSHOTS_AT_ONCE = 5_000
"""In one reply, of all streams together: some 10 MB, so that neither side is held up by it."""
MOST_OF_A_STREAM = 500
STREAMS_AT_ONCE = 1_000
Stream = tuple[str, int, int]
"""(activity, number of the shard, number of the attempt): whose snapshots a stream holds."""


def read_streams(
    client: Any, campaign: str, after: Mapping[Stream, str]
) -> Iterator[tuple[Stream, str, bytes]]:
    """What is new: (stream, entry id, body), in order within a stream.

    At most `most_of_each`: who is far behind asks again.
    """
    most = most_of_each(len(after))
    wanted = list(after)
    for first in range(0, len(wanted), STREAMS_AT_ONCE):
        some = wanted[first : first + STREAMS_AT_ONCE]
        keys = {names.snapshots(campaign, *stream): stream for stream in some}
        found = client.xread({key: after[stream] for key, stream in keys.items()}, count=most)
        for key, entries in found:
            stream = keys[key.decode()]
            for id_, fields in entries:
                yield stream, id_.decode(), fields.get(b"s", b"")


def most_of_each(streams: int) -> int:
    """How many snapshots of each of so many streams are read together: SNAPSHOTS_AT_ONCE, or one of each."""
    return min(MOST_OF_A_STREAM, max(1, SNAPSHOTS_AT_ONCE // max(1, streams)))


def trim_streams(client: Any, campaign: str, up_to: Iterable[tuple[Stream, str]]) -> None:
    """Let go of everything up to these entries."""
    pipe = client.pipeline(transaction=False)
    for stream, id_ in up_to:
        number, seq = id_.split("-")
        pipe.xtrim(names.snapshots(campaign, *stream), minid=f"{number}-{int(seq) + 1}", approximate=False)
    pipe.execute()


def decode_snapshot(body: bytes) -> snap.Snapshot:
    """Read a snapshot off the wire. Raises msgspec.DecodeError."""
    return snap.decode(body)
