"""null-features: requests whose features are null or missing, as when a feature store has none for a key."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from workers.chaos.clients.admission import MOST_PER_S
from workers.chaos.clients.crowd import Crowd, Sign
from workers.chaos.clients.order import Status, Wants
from workers.chaos.contract import Kind
from workers.chaos.units import per_second, share
from workers.contract.errors import ProtocolError

if TYPE_CHECKING:
    from workers.chaos.clients.client import Client

How = Literal["null", "drop", "either"]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """rate: how many requests (a rate). how: null, drop, or either. rows: a data file of requests.

    share: of each request's features, at least one, drawn anew each time; or `features`: those of these
    names, which every row must have one of. Features are the tensors of `inputs`, the keys of `instances`,
    else the keys of the row. answers: statuses that are documented for them, as 400 or 4xx; any other fails
    the activity.
    """

    rate: str
    how: How = "either"
    share: str = "50%"
    features: tuple[str, ...] = ()
    rows: str = ""
    answers: tuple[Status, ...] = ()


def null_features(options: Options) -> Crowd:
    """Requests with some of their features null, or left out.

    For rows that have such features. In effect once such a request was sent.
    """
    per_s = per_second(options.rate, option="rate", most=MOST_PER_S)
    part = share(options.share, option="share")
    names = options.features
    which = ", ".join(names) or f"{part * 100:g}% of the features"
    return Crowd(
        fault="null-features",
        options=options,
        what=f"{per_s:g} requests a second without {which}",
        act=partial(_spoil, per_s=per_s, names=names, part=part, how=options.how),
        signs=(Sign("a request without features sent", ("sent",)),),
        wants=Wants(options.rows, answers=options.answers),
        per_s=per_s,
        check_rows=partial(_check_rows, names=names),
    )


def _check_rows(rows: Sequence[dict[str, Any]], *, names: Sequence[str]) -> None:
    from workers.chaos.clients.features import check_features  # noqa: PLC0415  # the guardian needs none of it

    check_features(rows, names=names)


async def _spoil(client: "Client", *, per_s: float, names: Sequence[str], part: float, how: How) -> None:
    from workers.chaos.clients.features import spoil  # noqa: PLC0415  # the guardian needs none of it

    async def visit(index: int) -> None:
        row = client.requests.row(index)
        row, spoilt = spoil(row, names=names, share=part, how=how, random=client.random)
        client.tally.add("nulled", spoilt.nulled)
        client.tally.add("dropped", spoilt.dropped)
        try:
            request, body = client.requests.built(row), None
        except ProtocolError:  # as without any input: no row of ours, but what a client may send
            request, body = client.requests.of(index), msgspec.json.encode(row)
        await client.ask(request, index, body=body)

    await client.paced(visit, per_s=per_s)


KIND = Kind(null_features, Options, client=True, scales=("rate", "share"))
