"""malformed: requests that are broken on purpose."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec

from workers.chaos.clients.admission import MOST_PER_S
from workers.chaos.clients.crowd import Crowd, Sign
from workers.chaos.clients.kinds import CUT, KINDS
from workers.chaos.clients.order import Status, Wants
from workers.chaos.contract import Kind
from workers.chaos.units import per_second

if TYPE_CHECKING:
    from workers.chaos.clients.client import Client

Weight = Annotated[int, msgspec.Meta(ge=0, le=1000)]

_HEARS_FOR_S = 2.0  # to a request that was cut a server may answer, or close; it need not


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """rate: how many requests (a rate). kinds: in which ways they are broken, each with its weight.

    broken-json, wrong-types (the right keys with values of other types), bad-unicode, empty, deep (20,000
    lists in each other), cut (it ends before its content-length); all alike unless told. answers:
    statuses that are documented for them, as 400 or 4xx; any other fails the activity. rows: a data file
    of requests to break; without, small ones are made up.
    """

    rate: str
    kinds: dict[str, Weight] = msgspec.field(default_factory=lambda: dict.fromkeys(KINDS, 1))
    answers: tuple[Status, ...] = ("4xx",)
    rows: str = ""

    def __post_init__(self) -> None:
        """Refuse no kinds, and those that nobody knows."""
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not sum(self.kinds.values()):
            raise ValueError(f"kinds {', '.join(unknown) or 'none'}: say some of {', '.join(KINDS)}")


def malformed(options: Options) -> Crowd:
    """Requests whose bodies are broken in several ways.

    In effect once a broken request was sent.
    """
    per_s = per_second(options.rate, option="rate", most=MOST_PER_S)
    weights = {kind: weight for kind, weight in options.kinds.items() if weight}
    return Crowd(
        fault="malformed",
        options=options,
        what=f"{per_s:g} broken requests a second ({', '.join(weights)})",
        act=partial(_break, per_s=per_s, weights=weights),
        signs=(Sign("a broken request sent", ("sent", "cut")),),
        wants=Wants(options.rows, answers=options.answers),
        per_s=per_s,
    )


async def _break(client: "Client", *, per_s: float, weights: Mapping[str, int]) -> None:
    from workers.chaos.clients.breaking import broken  # noqa: PLC0415  # the guardian needs none of it

    async def visit(index: int) -> None:
        (kind,) = client.random.choices(list(weights), list(weights.values()))
        request = client.requests.of(index)
        client.tally.add(f"kinds.{kind}")
        if kind == CUT:
            await _cut(client, client.message(request, index), part=client.random.random())
        else:
            body = broken(kind, request.body, random=client.random)
            await client.ask(request, index, of=kind, body=body)

    await client.paced(visit, per_s=per_s)


async def _cut(client: "Client", message: bytes, *, part: float) -> None:
    """Send a part of the body, say that there is no more, and hear what comes."""
    from workers.chaos.clients.connection import status_in  # noqa: PLC0415

    head, blank, body = message.partition(b"\r\n\r\n")
    async with client.connection() as line:
        await line.send(head + blank + body[: int(len(body) * part)])
        client.tally.add("cut")
        line.end_sending()
        status = status_in(await line.hears(_HEARS_FOR_S) or b"")
    if status is None:
        client.tally.add("cut_unanswered")
    else:
        client.took(status, of=CUT)


KIND = Kind(malformed, Options, client=True, scales=("rate",))
