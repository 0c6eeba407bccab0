"""Who said it: signatures on submissions, orders of persons, halts and tasks; seals on what a fleet says.

A signature binds the sha256 of what is said, what it is for, who signed it, when, and until when it counts; a
text signed for one purpose is worth nothing for another. A seal is shorter and knows no time: it is for what
is said often (decisions, observations, orders) and counts in one place only. The keys are shared secrets
(HMAC-SHA256, by itsdangerous): a process that can check a key's signatures could also make them, so a worker
is given the coordinator's key, and submitters keys of their own.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import itsdangerous
import msgspec
from itsdangerous.encoding import base64_decode, base64_encode

from workers.contract.decoding import guarded
from workers.contract.errors import ContractError

Purpose = Literal[
    "submission", "acceptance", "abort", "note", "approval", "schedule", "halt", "resume", "drain", "task",
    "decision", "observation", "snapshot", "part", "order", "results", "audit", "look",
]  # fmt: skip

SKEW_S = 5.0
"""A signature from so far ahead still counts: the signer's sight of the common clock may be that wrong."""
SHORT_KEY = 16
"""A secret of fewer characters can be guessed; `doctor` says so."""


_ID_LENGTH = 8


class SignatureError(ContractError):
    """What was said is unsigned, altered, expired, or signed with a key that is not trusted here."""


@dataclass(frozen=True, slots=True)
class Key:
    """A secret, and the name that its holder gave it ("" for none)."""

    secret: str
    name: str = ""

    @property
    def id(self) -> str:
        """Eight characters that tell keys apart and are safe to show."""
        return _id_of(self.secret)

    def __str__(self) -> str:
        return f"{self.name} ({self.id})" if self.name else self.id

    def __repr__(self) -> str:
        return f"Key({self})"


@dataclass(frozen=True, slots=True)
class Keys:
    """What a process signs with (the first) and accepts (all). None: it can neither sign nor check."""

    keys: tuple[Key, ...] = ()

    @property
    def own(self) -> Key | None:
        """The key to sign with."""
        return self.keys[0] if self.keys else None

    def preferring(self, token: str) -> "Keys":
        """These, the one that made this signature or seal first: an answer is signed as what it answers."""
        made = [key for key in self.keys if key.id == key_id(token)]
        return Keys(tuple(dict.fromkeys((*made, *self.keys))))

    def and_also(self, others: "Keys") -> "Keys":
        """These and some that are accepted beside them; an empty set accepts everything and stays so."""
        return Keys(tuple(dict.fromkeys((*self.keys, *others.keys)))) if self.keys else self


NO_KEYS = Keys()


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that holds: by which key, and when (common time)."""

    key: str
    at_s: float


class _Claim(msgspec.Struct, frozen=True):
    key: str
    at_s: float
    expires_s: float
    sha256: str


def read_keys(text: str) -> Keys:
    """Keys from `[NAME=]SECRET`, comma-separated. Raises ContractError, which never shows a secret."""
    found: list[Key] = []
    for place, entry in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
        name, _, secret = entry.partition("=")
        named = name.replace("-", "").replace("_", "").isalnum()
        if not named or not secret.strip("="):  # base64 ends in "="
            name, secret = "", entry
        if not secret.isprintable():
            raise ContractError(f"signing key {place} holds characters that cannot be printed")
        found.append(Key(secret, name))
    return Keys(tuple(found))


def sign(body: bytes, *, purpose: Purpose, keys: Keys, at_s: float, expires_s: float = 0.0) -> str:
    """A signature of `body`, good until `expires_s` of common time (0: for ever); "" without a key."""
    if keys.own is None:
        return ""
    claim = _Claim(keys.own.id, at_s, expires_s, hashlib.sha256(body).hexdigest())
    return _signer(keys.own, purpose).sign(base64_encode(msgspec.json.encode(claim))).decode()


def check(token: str, body: bytes, *, purpose: Purpose, keys: Keys, now_s: float) -> Signed:
    """Who signed `body` for this purpose. Without keys of its own a process takes anybody's word.

    Raises SignatureError, which says what is wrong and what to do.
    """
    if not keys.keys:
        return Signed("", now_s)
    if not token:
        raise SignatureError(
            f"the {purpose} is not signed: set SHAKEOUT_SIGNING_KEY where it comes from "
            f"(trusted here: {_listed(keys)})"
        )
    claim = _claim(token, purpose)
    key = next((key for key in keys.keys if key.id == claim.key), None)
    if key is None:
        shown = claim.key[:_ID_LENGTH]
        raise SignatureError(
            f"the {purpose} is signed with the foreign key {shown}; trusted here: {_listed(keys)}"
        )
    try:
        _signer(key, purpose).unsign(token)
    except itsdangerous.BadSignature as error:
        raise SignatureError(f"the signature of the {purpose} is not one of key {key}") from error
    if claim.sha256 != hashlib.sha256(body).hexdigest():
        raise SignatureError(f"the {purpose} was altered after key {key} signed it")
    if claim.expires_s and now_s > claim.expires_s:
        raise SignatureError(
            f"the signature of the {purpose} expired {now_s - claim.expires_s:.0f} s ago: sign it again"
        )
    if claim.at_s > now_s + SKEW_S:
        raise SignatureError(f"the {purpose} was signed {claim.at_s - now_s:.0f} s ahead of the common clock")
    return Signed(str(key), claim.at_s)


def seal(body: bytes, *, purpose: Purpose, keys: Keys) -> str:
    """`KEYID.MAC` over `body`; "" without a key. Who uses it says in the body where it counts."""
    own = keys.own
    return f"{own.id}.{_signer(own, purpose).get_signature(body).decode()}" if own is not None else ""


def check_seal(token: str, body: bytes, *, purpose: Purpose, keys: Keys) -> str:
    """The key that sealed `body` for this purpose. Without keys of its own a process takes anybody's word.

    Raises SignatureError.
    """
    if not keys.keys:
        return ""
    if not token:
        raise SignatureError(f"the {purpose} is not signed (trusted here: {_listed(keys)})")
    id_, _, mac = token.partition(".")
    key = next((key for key in keys.keys if key.id == id_), None)
    if key is None:
        raise SignatureError(
            f"the {purpose} is signed with the foreign key {id_[:8]!r}; trusted here: {_listed(keys)}"
        )
    if not _signer(key, purpose).verify_signature(body, mac):
        raise SignatureError(f"the {purpose} was altered after key {key} signed it, or belongs elsewhere")
    return str(key)


def key_id(token: str) -> str:
    """Which key claims to have made a signature or seal, which proves nothing; "" where none can be read."""
    id_, _, rest = token.partition(".")
    if len(id_) == _ID_LENGTH and rest:
        return id_
    try:
        return _claim(token, "task").key
    except SignatureError:
        return ""


@lru_cache(maxsize=256)
def _signer(key: Key, purpose: Purpose) -> itsdangerous.Signer:
    """With the key for the purpose derived once: it takes longer than a signature."""
    named = _deriving(key, purpose)
    return itsdangerous.Signer(
        named.derive_key(), salt=named.salt, key_derivation="none", digest_method=hashlib.sha256
    )


def _deriving(key: Key, purpose: Purpose) -> itsdangerous.Signer:
    return itsdangerous.Signer(
        key.secret, salt=f"shakeout.{purpose}", key_derivation="hmac", digest_method=hashlib.sha256
    )


_decode_claim = guarded(msgspec.json.Decoder(_Claim).decode)


def _claim(token: str, purpose: Purpose) -> _Claim:
    try:
        payload, _, _ = token.rpartition(".")
        return _decode_claim(base64_decode(payload))
    except (itsdangerous.BadData, msgspec.DecodeError, ValueError) as error:
        raise SignatureError(f"the signature of the {purpose} cannot be read") from error


@lru_cache(maxsize=256)
def _id_of(secret: str) -> str:
    return hashlib.sha256(b"shakeout key\0" + secret.encode()).hexdigest()[:_ID_LENGTH]


def _listed(keys: Keys) -> str:
    return ", ".join(map(str, keys.keys))
