"""disconnect-mid-stream: clients that open a stream and leave after some tokens."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec

from workers.chaos.clients.admission import MOST_PER_S
from workers.chaos.clients.crowd import Crowd, Sign
from workers.chaos.clients.order import Status, Wants
from workers.chaos.contract import Kind
from workers.chaos.units import per_second

if TYPE_CHECKING:
    from workers.chaos.clients.client import Client

_MORE_TOKENS = 1000  # than a client reads before it leaves, so that it leaves in the middle


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """rate: how many clients come (a rate). after_tokens: output tokens that each reads before it leaves.

    rows: a data file of requests; without, small ones are made up. answers: statuses
    that are documented; any other fails the activity.
    """

    rate: str
    after_tokens: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1
    rows: str = ""
    answers: tuple[Status, ...] = ()


def disconnect_mid_stream(options: Options) -> Crowd:
    """Clients that open a stream and leave after some tokens.

    For targets that stream their answers. In effect once a client has left in the middle of a stream.
    """
    per_s = per_second(options.rate, option="rate", most=MOST_PER_S)
    after = options.after_tokens
    return Crowd(
        fault="disconnect-mid-stream",
        options=options,
        what=f"{per_s:g} clients a second, each gone after {after} tokens",
        act=partial(_leave, per_s=per_s, after=after),
        signs=(Sign("left in the middle of a stream", ("left",)),),
        wants=Wants(options.rows, after + _MORE_TOKENS, options.answers),
        per_s=per_s,
        streams=True,
    )


async def _leave(client: "Client", *, per_s: float, after: int) -> None:
    from workers.chaos.clients.outputs import Outputs  # noqa: PLC0415  # the guardian needs none of it

    async def visit(index: int) -> None:
        outputs = Outputs()
        async with client.connection() as line:
            await line.send(client.message(client.requests.of(index), index))
            client.tally.add("sent")
            status = await line.status()
            client.took(status)
            if not 200 <= status < 300:
                await line.rest()
                return
            if after:
                async for piece in line.pieces():
                    outputs.feed(piece)
                    if outputs.count >= after or outputs.ended:
                        break
        early = outputs.count >= after and not outputs.ended
        client.tally.add("left" if early else "ended_before")

    await client.paced(visit, per_s=per_s)


KIND = Kind(disconnect_mid_stream, Options, client=True, scales=("rate",))
