"""A person's word that a worker is to leave the fleet: signed, and for one life of the worker alone.

It stands in a hash in Redis (`names.DRAIN`), a field a worker; each worker reads its own. Its next life has
another incarnation, so what is left standing there does nothing to it.
"""

import msgspec

from workers.contract.decoding import guarded
from workers.contract.signed.signing import SKEW_S, Keys, SignatureError, check, sign


class DrainAsked(msgspec.Struct, frozen=True):
    """`by` wants this life of `worker` to hand over what it runs and to end; said at common time `at_s`."""

    worker: str
    incarnation: str
    by: str
    why: str = ""
    at_s: float = 0.0
    signature: str = ""

    def words(self) -> str:
        """For people: `asked by ada: a new kernel`."""
        return f"asked by {self.by}" + (f": {self.why}" if self.why else "")


encode_drain = msgspec.json.Encoder().encode
decode_drain = guarded(msgspec.json.Decoder(DrainAsked).decode)


def sign_drain(asked: DrainAsked, *, keys: Keys) -> DrainAsked:
    """It with its signature, which needs no end: it counts for one life of one worker."""
    token = sign(_body(asked), purpose="drain", keys=keys, at_s=asked.at_s)
    return msgspec.structs.replace(asked, signature=token)


def check_drain(asked: DrainAsked, *, keys: Keys, now_s: float) -> None:
    """Raise SignatureError where it is not to be believed, or claims to be of the future."""
    signed = check(asked.signature, _body(asked), purpose="drain", keys=keys, now_s=now_s)
    if keys.keys and signed.at_s != asked.at_s:
        raise SignatureError("the drain says another time than its signature")
    if asked.at_s > now_s + SKEW_S:
        raise SignatureError(f"the drain is {asked.at_s - now_s:.0f} s ahead of the common clock")


class Drains:
    """What one life of a worker has read of its own field so far."""

    def __init__(self, keys: Keys, *, worker: str, incarnation: str) -> None:
        self._keys, self._worker, self._incarnation = keys, worker, incarnation
        self._seen: bytes | None = None

    def read(self, body: bytes | None, *, now_s: float) -> DrainAsked | None:
        """The drain that stands there for this life, each once; None where there is none.

        Raises SignatureError, once for each, where it is not to be believed.
        """
        if body is None or body == self._seen:
            return None
        self._seen = body
        try:
            asked = decode_drain(body)
        except msgspec.DecodeError as error:
            raise SignatureError(f"a drain in Redis cannot be read: {error}") from error
        if (asked.worker, asked.incarnation) != (self._worker, self._incarnation):
            return None
        try:
            check_drain(asked, keys=self._keys, now_s=now_s)
        except SignatureError as error:
            raise SignatureError(f"a drain in Redis does not count: {error}") from error
        return asked


def _body(asked: DrainAsked) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(asked, signature=""), order="deterministic")
