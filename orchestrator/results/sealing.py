"""Results on their way through Redis: sealed by the leader, so that whoever fetches them sees what it wrote.

The seal names every file by its sha256, and the verdict. It is made with each key that a coordinator
believes, so that everybody who may say something to a fleet can check what it answers.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from orchestrator.errors import ShakeoutError
from workers.contract.decoding import guarded
from workers.contract.signed.signing import Keys, SignatureError, check_seal, key_id, seal

SEAL: Final = "seal.json"
"""Name of the result that vouches for the others."""


class SealError(ShakeoutError):
    """Results in Redis are not those that a coordinator wrote, as far as one's own keys can tell."""


class Seal(msgspec.Struct, frozen=True):
    """`files`: name -> sha256. `verdict`: of the campaign's end. `seals`: over both, one a key."""

    verdict: str
    files: dict[str, str]
    seals: tuple[str, ...] = ()


_decode = guarded(msgspec.json.Decoder(Seal).decode)


def sealed(files: Mapping[str, bytes], *, campaign: str, verdict: str, keys: Keys) -> dict[str, bytes]:
    """The files and their seal; without keys the files alone."""
    if not keys.keys:
        return dict(files)
    bare = Seal(verdict, {name: hashlib.sha256(body).hexdigest() for name, body in files.items()})
    body = _body(bare, campaign)
    seals = tuple(seal(body, purpose="results", keys=Keys((key,))) for key in keys.keys)
    return {**files, SEAL: msgspec.json.encode(msgspec.structs.replace(bare, seals=seals))}


def read_seal(body: bytes | None, *, campaign: str, keys: Keys) -> Seal:
    """The seal of a campaign's results. Raises SealError where none of `keys` made it, or it was altered."""
    if body is None:
        raise SealError(f"the results of {campaign} are not sealed: {_INSTEAD}")
    try:
        found = _decode(body)
    except msgspec.DecodeError as error:
        raise SealError(f"the seal of the results of {campaign} cannot be read: {_INSTEAD}") from error
    ours = {key.id for key in keys.keys}
    token = next((token for token in found.seals if key_id(token) in ours), "")
    bare = msgspec.structs.replace(found, seals=())
    try:
        check_seal(token, _body(bare, campaign), purpose="results", keys=keys)
    except SignatureError as error:
        raise SealError(
            f"the results of {campaign} in Redis are not to be believed: {error}: {_INSTEAD}"
        ) from error
    return bare


def check_file(found: Seal, name: str, body: bytes, *, campaign: str) -> None:
    """Raise SealError where a file is not the one that was sealed."""
    if found.files.get(name) != hashlib.sha256(body).hexdigest():
        raise SealError(f"{name} of {campaign} was altered in Redis: {_INSTEAD}")


_INSTEAD: Final = (
    "take them from the coordinator's runs URL (without SHAKEOUT_SIGNING_KEY they are fetched unchecked)"
)


def _body(bare: Seal, campaign: str) -> bytes:
    return f"{campaign}\n".encode() + msgspec.json.encode(bare, order="deterministic")
