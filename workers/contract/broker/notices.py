"""What a process leaves in Redis when it is refused and ends, so that `doctor` can tell of it for a while."""

from typing import Any

import msgspec

from workers.contract.broker import names
from workers.contract.decoding import guarded

KEPT = 100
"""Notices that stay; they are told of for `TOLD_FOR_S`."""
TOLD_FOR_S = 600.0


class Notice(msgspec.Struct, frozen=True):
    """A worker could not start. `why` in plain words; `at_s` is filled in by the server's clock."""

    worker: str
    host: str
    pid: int
    why: str
    at_s: float = 0.0


_decode = guarded(msgspec.json.Decoder(Notice).decode)


def leave(client: Any, notice: Notice) -> None:
    """Write it down. Raises redis errors."""
    body = msgspec.json.encode(notice)
    client.xadd(names.NOTICES, {"n": body}, maxlen=KEPT, approximate=True)


def lately(client: Any, *, now_s: float) -> tuple[Notice, ...]:
    """Those of the last ten minutes, the oldest first. Raises redis errors."""
    since = round((now_s - TOLD_FOR_S) * 1000)
    found: list[Notice] = []
    for id_, fields in client.xrange(names.NOTICES, min=str(max(0, since)), count=10 * KEPT):
        try:
            notice = _decode(fields[b"n"])
        except (KeyError, msgspec.DecodeError):
            continue  # of a version that says something else
        at_s = float(id_.partition(b"-")[0]) / 1000
        found.append(msgspec.structs.replace(notice, at_s=at_s))
    return tuple(found)
