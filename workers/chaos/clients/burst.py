"""burst: many requests at one moment, or far more a second than usual: what gives way."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec

from workers.chaos.clients.admission import MOST_AT_ONCE, MOST_PER_S
from workers.chaos.clients.crowd import Crowd, Sign
from workers.chaos.clients.order import Status, Wants
from workers.chaos.contract import Kind
from workers.chaos.units import per_second, seconds

if TYPE_CHECKING:
    from workers.chaos.clients.client import Client

_LEAST_S = 0.1  # between two bursts: below it this is a rate
_BEGUN = ("sent", "failed.connect", "failed.closed", "failed.timeout")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Exactly one of requests (at one moment) and rate (all the time). every: between two moments.

    tokens: output that made-up requests ask for. rows: a data file of requests. answers: statuses
    that are documented for them, as 200 or 4xx; any other fails the activity.
    """

    requests: Annotated[int, msgspec.Meta(ge=1, le=MOST_AT_ONCE)] | None = None
    rate: str | None = None
    every: str | None = None
    tokens: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 16
    rows: str = ""
    answers: tuple[Status, ...] = ()

    def __post_init__(self) -> None:
        """Refuse none or both."""
        if (self.requests is None) == (self.rate is None):
            raise ValueError("say exactly one of requests, rate")
        if self.every is not None and self.requests is None:
            raise ValueError("every goes with requests")


def burst(options: Options) -> Crowd:
    """Requests that come all at once, or at a high rate for a time.

    In effect once the first burst was begun whole: sent, or turned away by the target.
    """
    wants = Wants(options.rows, options.tokens, options.answers)
    sent = Sign("a request sent", ("sent",))
    if options.rate is not None:
        per_s = per_second(options.rate, option="rate", most=MOST_PER_S)
        return Crowd(
            fault="burst",
            options=options,
            what=f"{per_s:g} requests a second",
            act=partial(_evenly, per_s=per_s),
            signs=(sent,),
            wants=wants,
            per_s=per_s,
        )
    at_once, every = options.requests or 0, options.every
    every_s = None if every is None else seconds(every, option="every", least_s=_LEAST_S)
    again = "" if every_s is None else f", every {every_s:g} s"
    return Crowd(
        fault="burst",
        options=options,
        what=f"{at_once} requests at once{again}",
        act=partial(_all_at_once, requests=at_once, every_s=every_s),
        signs=(sent, Sign("the whole burst sent", _BEGUN, at_once)),
        wants=wants,
        per_s=0.0 if every_s is None else at_once / every_s,
        at_once=at_once,
    )


async def _evenly(client: "Client", *, per_s: float) -> None:
    await client.paced(partial(_visit, client), per_s=per_s)


async def _all_at_once(client: "Client", *, requests: int, every_s: float | None) -> None:
    import asyncio  # noqa: PLC0415  # the guardian needs none of it

    due_s = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        while True:
            for _ in range(requests):
                client.begin(partial(_visit, client), group=group)
            if every_s is None:
                await asyncio.Event().wait()  # to be ended from outside
                return
            due_s += every_s
            await client.until(due_s)


async def _visit(client: "Client", index: int) -> None:
    await client.ask(client.requests.of(index), index)


KIND = Kind(burst, Options, client=True, scales=("requests", "rate"))
