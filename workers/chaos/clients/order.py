"""What a fault says to the process of its clients: the fault itself, and what to aim at."""

from typing import Annotated, Any

import msgspec

from workers.chaos.aim import Aim

Status = (
    Annotated[int, msgspec.Meta(ge=100, le=599)] | Annotated[str, msgspec.Meta(pattern=r"^[1-5](xx|\d\d)$")]
)
"""One status, or a class of them: 404, `4xx`."""


class Order(msgspec.Struct, frozen=True):
    """One fault's clients. `allow_targets`: entries beside loopback. `seed`: of all that is drawn."""

    fault: str
    options: dict[str, Any]
    aim: Aim
    seed: int = 0
    allow_targets: tuple[str, ...] = ()


class Wants(msgspec.Struct, frozen=True):
    """What a fault's requests are. `rows`: the file that has them, as the options name it; "": made up.

    `tokens`: output that made-up ones ask for. `answers`: statuses that are documented (`400`, `4xx`); none:
    any.
    """

    rows: str = ""
    tokens: int = 16
    answers: tuple[Status, ...] = ()


encode = msgspec.msgpack.Encoder().encode


def decode(told: bytes) -> Order:
    """Read what `encode` wrote."""
    return msgspec.msgpack.decode(told, type=Order)
