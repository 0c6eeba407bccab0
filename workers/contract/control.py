"""Orders from the leader to a worker about its attempts.

Sent again after a restart, so each is idempotent.
"""

import msgspec


class Start(msgspec.Struct, frozen=True, tag="start"):
    """Begin: the phase's second 0 is common time `start_s`.

    Take arrivals from `from_s` (since the start) on.
    """

    campaign: str
    attempt: str
    start_s: float
    from_s: float = 0.0


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Fall silent, revert, hand over what is known, and exit."""

    campaign: str
    attempt: str
    why: str


Order = Start | Stop

encode_order = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode
