"""cancel-storm: many requests begun and all cancelled at one moment."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec

from workers.chaos.clients.admission import MOST_AT_ONCE
from workers.chaos.clients.crowd import Crowd, Sign
from workers.chaos.clients.order import Wants
from workers.chaos.contract import Kind
from workers.chaos.units import seconds
from workers.contract.errors import FaultError

if TYPE_CHECKING:
    from workers.chaos.clients.client import Client

_LEAST_S = 0.1  # between two storms


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """requests: how many are begun. after: when they are cancelled. every: when the next ones are begun.

    tokens: output that made-up requests ask for. rows: a data file of requests.
    """

    requests: Annotated[int, msgspec.Meta(ge=1, le=MOST_AT_ONCE)]
    after: str = "500ms"
    every: str = "2s"
    tokens: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1000
    rows: str = ""


def cancel_storm(options: Options) -> Crowd:
    """Many requests are begun, and all of them cancelled at once; again and again.

    In effect once a request was cancelled.
    """
    after_s = seconds(options.after, option="after")
    every_s = seconds(options.every, option="every", least_s=_LEAST_S)
    if every_s < after_s:
        raise FaultError(f"every {options.every}: must be no shorter than after {options.after}")
    return Crowd(
        fault="cancel-storm",
        options=options,
        what=f"{options.requests} requests, cancelled after {after_s:g} s, every {every_s:g} s",
        act=partial(_storm, requests=options.requests, after_s=after_s, every_s=every_s),
        signs=(Sign("a request cancelled", ("cancelled",)),),
        wants=Wants(options.rows, options.tokens),
        per_s=options.requests / every_s,
        at_once=options.requests,
    )


async def _storm(client: "Client", *, requests: int, after_s: float, every_s: float) -> None:
    """Begin, cancel, wait, and begin again."""
    import asyncio  # noqa: PLC0415  # the guardian needs none of it

    due_s = asyncio.get_running_loop().time()
    while True:
        async with asyncio.TaskGroup() as group:
            begun = [client.begin(partial(_visit, client), group=group) for _ in range(requests)]
            await asyncio.sleep(after_s)
            for task in filter(None, begun):
                task.cancel()
        due_s += every_s
        await client.until(due_s)


async def _visit(client: "Client", index: int) -> None:
    import asyncio  # noqa: PLC0415

    sent = False
    try:
        async with client.connection() as line:
            await line.send(client.message(client.requests.of(index), index))
            sent = True
            client.tally.add("sent")
            client.took(await line.status())
            await line.rest()
            client.tally.add("ended_before")
    except asyncio.CancelledError:
        client.tally.add("cancelled" if sent else "cancelled_unsent")
        raise


KIND = Kind(cancel_storm, Options, client=True, scales=("requests",))
