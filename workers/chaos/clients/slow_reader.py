"""slow-reader: clients that take their answers a few bytes at a time, so that buffers fill up."""

import math
from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec

from workers.chaos.clients.admission import MOST_AT_ONCE
from workers.chaos.clients.crowd import Crowd, Sign, all_opened
from workers.chaos.clients.order import Status, Wants
from workers.chaos.contract import Kind
from workers.chaos.units import bytes_per_second

if TYPE_CHECKING:
    from workers.chaos.clients.client import Client
    from workers.chaos.clients.connection import Connection

_READS_EVERY_S = 0.1
_BUFFER_BYTES = 4096
"""Of the kernel and of this process: what is taken before anybody reads it."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """connections: how many read at once. rate: bytes per second that each takes, e.g. 100B/s.

    tokens: output that made-up requests ask for; little fits into buffers, and nobody waits. rows: a data
    file of requests. Who has its whole answer asks again a second later. answers: statuses that are
    documented; any other fails the activity.
    """

    connections: Annotated[int, msgspec.Meta(ge=1, le=MOST_AT_ONCE)] = 10
    rate: str = "100B/s"
    tokens: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 2000
    rows: str = ""
    answers: tuple[Status, ...] = ()


def slow_reader(options: Options) -> Crowd:
    """Clients that read their answers slowly.

    In effect once every connection was opened, or turned away by the target, and one is read from.
    """
    bytes_per_s = bytes_per_second(options.rate, option="rate")
    return Crowd(
        fault="slow-reader",
        options=options,
        what=f"{options.connections} clients that read {bytes_per_s:g} bytes a second",
        act=partial(_read, connections=options.connections, bytes_per_s=bytes_per_s),
        signs=(Sign("reading", ("bytes_read",)), all_opened(options.connections)),
        wants=Wants(options.rows, options.tokens, options.answers),
        at_once=options.connections,
    )


async def _read(client: "Client", *, connections: int, bytes_per_s: float) -> None:
    async def visit(index: int) -> None:
        async with client.held(buffer_bytes=_BUFFER_BYTES) as line:
            await line.send(client.message(client.requests.of(index), index))
            client.tally.add("sent")
            client.took(await line.status())
            await _dawdle(client, line, bytes_per_s=bytes_per_s)
            client.tally.add("ended")

    await client.stay(visit, clients=connections)


async def _dawdle(client: "Client", line: "Connection", *, bytes_per_s: float) -> None:
    """Read to the end of the connection, on average so fast and never a second's worth at once."""
    import asyncio  # noqa: PLC0415  # the guardian needs none of it

    loop = asyncio.get_running_loop()
    looked_s, due = loop.time(), 0.0
    while True:
        await asyncio.sleep(_READS_EVERY_S)
        now_s = loop.time()
        due = min(due + (now_s - looked_s) * bytes_per_s, max(1.0, bytes_per_s))
        looked_s = now_s
        if due < 1:
            continue
        piece = await line.reader.read(math.floor(due))
        if not piece:
            return
        due -= len(piece)
        client.tally.add("bytes_read", len(piece))


KIND = Kind(slow_reader, Options, client=True, scales=("connections",))
