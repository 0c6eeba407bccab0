"""oversize-prompt: prompts longer than the model takes."""

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


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """rate: how many requests (a rate). tokens: words of each prompt.

    answers: statuses that are documented for them, as 413 or 4xx; any other fails the activity.
    """

    rate: str
    tokens: Annotated[int, msgspec.Meta(ge=1, le=5_000_000)]
    answers: tuple[Status, ...] = ()


def oversize_prompt(options: Options) -> Crowd:
    """Requests with very long prompts.

    For targets that take prompts. In effect once a prompt was sent whole, or refused before that.
    """
    per_s = per_second(options.rate, option="rate", most=MOST_PER_S)
    return Crowd(
        fault="oversize-prompt",
        options=options,
        what=f"{per_s:g} prompts of {options.tokens} words a second",
        act=partial(_prompt, per_s=per_s, words=options.tokens),
        signs=(Sign("a long prompt sent", ("sent", "failed.closed")),),
        wants=Wants(answers=options.answers),
        per_s=per_s,
        prompts=True,
    )


async def _prompt(client: "Client", *, per_s: float, words: int) -> None:
    async def visit(index: int) -> None:
        row = client.requests.row(index)
        row["prompt"] = client.requests.prompt(index, words=words)
        await client.ask(client.requests.built(row), index)

    await client.paced(visit, per_s=per_s)


KIND = Kind(oversize_prompt, Options, client=True, scales=("rate", "tokens"))
