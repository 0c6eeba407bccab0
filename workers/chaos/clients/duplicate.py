"""duplicate: the same request several times with the same id, as retries and impatient proxies send it."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from workers.chaos.clients.admission import MOST_PER_S
from workers.chaos.clients.crowd import Crowd, Sign
from workers.chaos.clients.order import Status, Wants
from workers.chaos.contract import Kind
from workers.chaos.units import per_second, seconds
from workers.contract.errors import FaultError

if TYPE_CHECKING:
    from workers.chaos.clients.client import Client

_LONGEST_S: Final = 60.0  # from the first copy to the last: those that wait are held in memory


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """rate: how many different requests (a rate). copies: how often each is sent. apart: between two.

    All copies have one x-shakeout-id. rows: a data file of requests; without, small ones are made up.
    answers: statuses that are documented for them, as 200 or 4xx; any other fails the activity.
    """

    rate: str
    copies: Annotated[int, msgspec.Meta(ge=2, le=100)] = 2
    apart: str = "0s"
    rows: str = ""
    answers: tuple[Status, ...] = ()


def duplicate(options: Options) -> Crowd:
    """Each request several times, all with the same id.

    In effect once a request was sent for the second time.
    """
    per_s = per_second(options.rate, option="rate", most=MOST_PER_S)
    apart_s = seconds(options.apart, option="apart")
    if (lasts_s := apart_s * (options.copies - 1)) > _LONGEST_S:
        raise FaultError(
            f"apart {options.apart}: the last of {options.copies} copies would come {lasts_s:g}s after the "
            f"first; at most {_LONGEST_S:g}s"
        )
    return Crowd(
        fault="duplicate",
        options=options,
        what=f"{per_s:g} requests a second, each {options.copies} times",
        act=partial(_repeat, per_s=per_s, copies=options.copies, apart_s=apart_s),
        signs=(Sign("a request sent twice", ("repeated",)),),
        wants=Wants(options.rows, answers=options.answers),
        per_s=per_s * options.copies,
        at_once=options.copies,
    )


async def _repeat(client: "Client", *, per_s: float, copies: int, apart_s: float) -> None:
    import asyncio  # noqa: PLC0415  # the guardian needs none of it

    async with asyncio.TaskGroup() as group:

        async def visit(index: int) -> None:  # the copies may take longer than the target's time-out
            group.create_task(_send(client, index, copies=copies, apart_s=apart_s))

        await client.paced(visit, per_s=per_s)


async def _send(client: "Client", index: int, *, copies: int, apart_s: float) -> None:
    """Send all copies of one request, each in its time and with the target's time-out for itself."""
    import asyncio  # noqa: PLC0415

    request, statuses = client.requests.of(index), set[int]()

    async def visit(number: int) -> None:
        if number == 0 or client.admitted():
            counted = ("sent", "repeated") if number else ("sent",)
            statuses.add(await client.ask(request, index, counted=counted))

    async def copy(number: int) -> None:
        await asyncio.sleep(number * apart_s)
        await client.visit(visit, number)

    await asyncio.gather(*map(copy, range(copies)))
    if len(statuses) > 1:
        client.tally.add("answered_differently")


KIND = Kind(duplicate, Options, client=True, scales=("rate",))
