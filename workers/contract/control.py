"""Orders from the leader to a worker about its attempts.

Sent again after a restart, so each is idempotent. Each is sealed with the coordinator's key
(contract/trust.py) and names its campaign and attempt, which runs once in one life of one worker: so an order
is worth nothing to any other, and saying it again changes nothing.
"""

import msgspec

from workers.contract.decoding import guarded
from workers.contract.proxies import ProxyWant


class Start(msgspec.Struct, frozen=True, tag="start"):
    """Begin: the phase's second 0 is common time `start_s`.

    Take arrivals from `from_s` (since the start) on.
    """

    campaign: str
    attempt: str
    start_s: float
    from_s: float = 0.0
    signature: str = ""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Fall silent, revert, hand over what is known, and exit."""

    campaign: str
    attempt: str
    why: str
    signature: str = ""


class HandOver(msgspec.Struct, frozen=True, tag="hand-over"):
    """Take no arrival intended at `until_s` (since the start) or later, say so; end with the last answer."""

    campaign: str
    attempt: str
    until_s: float
    signature: str = ""


class Stand(msgspec.Struct, frozen=True, tag="stand"):
    """Let these proxies stand as long as the campaign lives: said to one life of a worker, to no attempt.

    `number`: of the try, so that the leader may say it again until the worker's card shows them.
    """

    campaign: str
    incarnation: str
    proxies: tuple[ProxyWant, ...]
    number: int = 0
    signature: str = ""
    attempt: str = ""


AttemptOrder = Start | Stop | HandOver
Order = AttemptOrder | Stand

encode_order = msgspec.json.Encoder().encode
decode_order = guarded(msgspec.json.Decoder(Order).decode)
