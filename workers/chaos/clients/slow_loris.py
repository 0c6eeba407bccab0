"""slow-loris: connections whose request never ends, a byte at a time."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec

from workers.chaos.clients.admission import MOST_AT_ONCE
from workers.chaos.clients.crowd import Crowd, Sign, all_opened
from workers.chaos.clients.order import Wants
from workers.chaos.contract import Kind
from workers.chaos.units import seconds

if TYPE_CHECKING:
    from workers.chaos.clients.client import Client

_LEAST_S = 0.01  # between two bytes of one connection: below it this is a slow upload, not a loris


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """connections: how many are held. every: between two bytes on each. rows: whose paths are asked for.

    One that the target closes is opened again a second later.
    """

    connections: Annotated[int, msgspec.Meta(ge=1, le=MOST_AT_ONCE)] = 50
    every: str = "1s"
    rows: str = ""


def slow_loris(options: Options) -> Crowd:
    """Connections held open by requests whose headers come a byte at a time, without end.

    In effect once every connection was opened, or turned away by the target, and one was held.
    """
    every_s = seconds(options.every, option="every", least_s=_LEAST_S)
    return Crowd(
        fault="slow-loris",
        options=options,
        what=f"{options.connections} connections, on each a byte every {every_s:g} s",
        act=partial(_hold, connections=options.connections, every_s=every_s),
        signs=(Sign("held open", ("dawdled",)), all_opened(options.connections)),
        wants=Wants(options.rows),
        at_once=options.connections,
    )


async def _hold(client: "Client", *, connections: int, every_s: float) -> None:
    from workers.chaos.clients.connection import status_in  # noqa: PLC0415  # the guardian needs none of it

    async def visit(index: int) -> None:
        head = client.head(client.requests.of(index), index, length=None)
        async with client.held() as line:
            for byte in _without_end(head):
                await line.send(byte)
                client.tally.add("dawdled")
                said = await line.hears(every_s)
                if said is None:
                    continue
                status = status_in(said)
                if status is not None:
                    client.took(status)
                client.tally.add("closed_by_target")
                return

    await client.stay(visit, clients=connections)


def _without_end(head: bytes) -> Iterator[bytes]:
    """The head, and then one header after another."""
    yield from (head[at : at + 1] for at in range(len(head)))
    number = 0
    while True:
        line = b"x-%d: 1\r\n" % number
        yield from (line[at : at + 1] for at in range(len(line)))
        number += 1


KIND = Kind(slow_loris, Options, client=True, scales=("connections",))
