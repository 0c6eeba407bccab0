"""What a fault would touch now: a person asks, workers look at their hosts and answer; nothing is touched.

A question is an entry of one stream (`names.LOOKS`), signed by whoever asks; each worker that it names
answers in a hash of the question's own (`names.looked`), which expires. Neither outlives the asking.
"""

import msgspec

from workers.contract.decoding import guarded
from workers.contract.fault_steps import FaultStep
from workers.contract.signed.signing import SKEW_S, Keys, SignatureError, check, sign
from workers.contract.spec import TargetSpec

GOOD_FOR_S = 30.0
"""Older questions are not answered: nobody waits for them any more."""
KEPT_S = 60
MOST_KEPT = 64
"""Questions in the stream."""


class LookAt(msgspec.Struct, frozen=True):
    """The steps of one chaos activity, as they would be done by these workers; `target`: of its clients."""

    activity: str
    workers: tuple[str, ...]
    steps: tuple[FaultStep, ...]
    protect: tuple[str, ...] = ()
    on_generators: bool = False
    target: TargetSpec | None = None


class Look(msgspec.Struct, frozen=True):
    """A question: `id` is unguessable and names the answers' hash; `at_s` is common time."""

    id: str
    by: str
    at_s: float
    activities: tuple[LookAt, ...]
    signature: str = ""


class Touch(msgspec.Struct, frozen=True):
    """What one step would touch on one host now: processes and other things, in words; or why it cannot."""

    activity: str
    step: int
    worker: str
    host: str
    processes: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()
    refused: str = ""


encode_look = msgspec.json.Encoder().encode
decode_look = guarded(msgspec.json.Decoder(Look).decode)
encode_touches = msgspec.json.Encoder().encode
decode_touches = guarded(msgspec.json.Decoder(tuple[Touch, ...]).decode)


def sign_look(look: Look, *, keys: Keys) -> Look:
    """The question with its signature, which is good for GOOD_FOR_S."""
    token = sign(_body(look), purpose="look", keys=keys, at_s=look.at_s, expires_s=look.at_s + GOOD_FOR_S)
    return msgspec.structs.replace(look, signature=token)


def check_look(look: Look, *, keys: Keys, now_s: float) -> None:
    """Raise SignatureError where it is not to be believed, or is too old to be answered."""
    check(look.signature, _body(look), purpose="look", keys=keys, now_s=now_s)
    if not -SKEW_S <= now_s - look.at_s <= GOOD_FOR_S:
        raise SignatureError(f"the question of {look.by} is {now_s - look.at_s:.0f} s old")


def _body(look: Look) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(look, signature=""), order="deterministic")
