"""What is signed and how it is checked: all facts, tasks and orders, and who may do without.

A fact's signature binds the campaign's id and all of the fact, so it is worth nothing in another campaign; a
task's binds all of the task. What the leader decides is numbered: a decision said again, or missing from
between others, is seen. Keys are named in the environment of each process (SHAKEOUT_SIGNING_KEY,
SHAKEOUT_SUBMITTER_KEYS).
"""

import hashlib
import ipaddress
from typing import Final, TypeVar

import msgspec

from workers.contract.broker.connection import masked, read_address
from workers.contract.control import Order
from workers.contract.errors import ContractError
from workers.contract.facts import (
    AbortAsked,
    Accepted,
    Approved,
    Denied,
    Fact,
    Noted,
    Observed,
    Revealed,
    StepDone,
    Submitted,
    Word,
)
from workers.contract.signed.signing import (
    Keys,
    Purpose,
    SignatureError,
    Signed,
    check,
    check_seal,
    seal,
    sign,
)
from workers.contract.spec import ShardTask

KEY_VARIABLE: Final = "SHAKEOUT_SIGNING_KEY"
SUBMITTERS_VARIABLE: Final = "SHAKEOUT_SUBMITTER_KEYS"
SECRET_VARIABLES: Final = frozenset(
    {KEY_VARIABLE, SUBMITTERS_VARIABLE, "SHAKEOUT_BROKER", "SHAKEOUT_FLOWER_PASSWORD"}
)
"""What only the process itself may read of its environment: no engine, no `${env:NAME}`, no demo target."""
SUBMISSION_COUNTS_S: Final = 24 * 3600.0
"""How long a submission may wait for a coordinator."""
WORD_COUNTS_S: Final = 3600.0
"""How long an order or a remark may be on its way into the journal."""
HOW_TO_MAKE_A_KEY: Final = (
    "Make a key with `python -c 'import secrets; print(secrets.token_hex(32))'` or `openssl rand -hex 32`, "
    f"and set {KEY_VARIABLE} to it for coordinators and workers, and for those who submit"
)


class KeyMissingError(ContractError):
    """A fleet that others can reach needs keys; says how to make one and where to set it."""


_AnyFact = TypeVar("_AnyFact", bound=Fact)
_AnyOrder = TypeVar("_AnyOrder", bound=Order)
_Said = TypeVar("_Said", bound=Submitted | Word | Accepted)
_FACTS: Final[dict[type, tuple[Purpose, float]]] = {
    Submitted: ("submission", SUBMISSION_COUNTS_S),
    Accepted: ("acceptance", 0.0),
    AbortAsked: ("abort", WORD_COUNTS_S),
    Noted: ("note", WORD_COUNTS_S),
    Observed: ("note", WORD_COUNTS_S),
    StepDone: ("note", WORD_COUNTS_S),
    Revealed: ("note", WORD_COUNTS_S),
    Approved: ("approval", WORD_COUNTS_S),
    Denied: ("approval", WORD_COUNTS_S),
}
LAST: Final = 0
"""Number of a decision that counts wherever it stands: a campaign was refused, or given up."""
MOST_DIGITS: Final = 12
SEALED: Final = b"S"
"""How a sealed snapshot begins: msgpack has a number there, and no snapshot is one."""
_ENDS: Final = b"\n"
MOST_TOKEN: Final = 200
_LOOPBACK_NAMES: Final = frozenset({"localhost", "ip6-localhost"})


def sign_fact(fact: _Said, *, campaign: str, keys: Keys, now_s: float) -> _Said:
    """The fact with its signature, made at `now_s` of common time; unchanged but for "" without a key."""
    purpose, counts_s = _FACTS[type(fact)]
    expires_s = now_s + counts_s if counts_s else 0.0
    token = sign(fact_body(fact, campaign), purpose=purpose, keys=keys, at_s=now_s, expires_s=expires_s)
    return msgspec.structs.replace(fact, signature=token)


def check_fact(fact: Submitted | Word | Accepted, *, campaign: str, keys: Keys, now_s: float) -> Signed:
    """Who signed the fact for this campaign. Raises SignatureError."""
    purpose, _ = _FACTS[type(fact)]
    return check(fact.signature, fact_body(fact, campaign), purpose=purpose, keys=keys, now_s=now_s)


def sign_decision(fact: _AnyFact, *, campaign: str, number: int, keys: Keys) -> _AnyFact:
    """What the leader says, as the `number`th of the campaign's decisions, from 1; `LAST`: out of order."""
    token = seal(_decision_body(fact, campaign, number), purpose="decision", keys=keys)
    return msgspec.structs.replace(fact, signature=f"{number}:{token}" if token else "")


def check_decision(fact: Fact, *, campaign: str, keys: Keys) -> int:
    """The number of a decision that a coordinator made. Raises SignatureError.

    The caller knows which number is next. Without keys there are no numbers: `LAST`.
    """
    if not keys.keys:
        return LAST
    number, _, token = fact.signature.partition(":")
    if not token or not number.isdecimal() or len(number) > MOST_DIGITS:
        raise SignatureError("the decision is not signed")
    check_seal(token, _decision_body(fact, campaign, int(number)), purpose="decision", keys=keys)
    return int(number)


def _decision_body(fact: Fact, campaign: str, number: int) -> bytes:
    return f"{number}\n".encode() + fact_body(fact, campaign)


def sign_observation(fact: _AnyFact, *, campaign: str, keys: Keys) -> _AnyFact:
    """What a worker says of an attempt, sealed for this campaign."""
    token = seal(fact_body(fact, campaign), purpose="observation", keys=keys)
    return msgspec.structs.replace(fact, signature=token)


def check_observation(fact: Fact, *, campaign: str, keys: Keys) -> None:
    """Raise SignatureError where no worker of this fleet said it of this campaign."""
    check_seal(fact.signature, fact_body(fact, campaign), purpose="observation", keys=keys)


def seal_snapshot(body: bytes, *, stream: str, id_: str, keys: Keys) -> bytes:
    """A snapshot as it stands in Redis: with a seal for this place of this stream; as it is without a key."""
    if keys.own is None:
        return body
    token = seal(_snapshot_body(body, stream, id_), purpose="snapshot", keys=keys)
    return SEALED + token.encode() + _ENDS + body


def open_snapshot(said: bytes, *, stream: str, id_: str, keys: Keys) -> bytes:
    """A snapshot without its seal. Raises SignatureError where no worker of this fleet put it there."""
    if not said.startswith(SEALED):
        check_seal("", b"", purpose="snapshot", keys=keys)
        return said
    token, _, body = said.removeprefix(SEALED).partition(_ENDS)
    shown = token[:MOST_TOKEN].decode(errors="replace")
    check_seal(shown, _snapshot_body(body, stream, id_), purpose="snapshot", keys=keys)
    return body


def _snapshot_body(body: bytes, stream: str, id_: str) -> bytes:
    return f"{stream}\n{id_}\n".encode() + body


def sign_order(order: _AnyOrder, *, keys: Keys) -> _AnyOrder:
    """The order with its seal, over all the rest of it."""
    return msgspec.structs.replace(order, signature=seal(_order_body(order), purpose="order", keys=keys))


def check_order(order: Order, *, keys: Keys) -> None:
    """Raise SignatureError where no coordinator of this fleet gave it."""
    check_seal(order.signature, _order_body(order), purpose="order", keys=keys)


def _order_body(order: Order) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(order, signature=""), order="deterministic")


def fact_body(fact: Fact, campaign: str) -> bytes:
    """What a fact's signature is over: the campaign's id, and all of the fact but its signature."""
    bare = msgspec.structs.replace(fact, signature="")
    return f"{campaign}\n".encode() + msgspec.json.encode(bare, order="deterministic")


def submission_sha256(fact: Submitted, campaign: str) -> str:
    """What `Accepted.submission` holds: by it a submission that was exchanged later is known."""
    return hashlib.sha256(fact_body(fact, campaign)).hexdigest()


def sign_task(task: ShardTask, *, keys: Keys) -> ShardTask:
    """The task with its signature, which counts until the task itself expires."""
    token = sign(task_body(task), purpose="task", keys=keys, at_s=0.0, expires_s=task.expires_s)
    return msgspec.structs.replace(task, signature=token)


def check_task(task: ShardTask, *, keys: Keys, now_s: float) -> Signed:
    """Who signed the task. Raises SignatureError."""
    return check(task.signature, task_body(task), purpose="task", keys=keys, now_s=now_s)


def task_body(task: ShardTask) -> bytes:
    """What a task's signature is over: attempt, incarnation, spec, expiry and all the rest."""
    return msgspec.json.encode(msgspec.structs.replace(task, signature=""), order="deterministic")


def require_keys(keys: Keys, *, broker: str) -> str:
    """What to warn of where a process works unsigned; "" where it has keys.

    Raises KeyMissingError where it has none and its broker can be reached by others.
    """
    if keys.own is not None:
        return ""
    if not is_loopback(broker):
        raise KeyMissingError(
            f"{KEY_VARIABLE} is not set, and the broker {masked(broker)} is not on this machine: whoever "
            f"reaches it could make this fleet send load. {HOW_TO_MAKE_A_KEY}"
        )
    return (
        f"{KEY_VARIABLE} is not set: nothing is signed, and anybody who reaches {masked(broker)} is believed"
    )


def is_loopback(broker: str) -> bool:
    """Whether only this machine can reach the broker: 127.0.0.0/8, ::1, localhost, a Unix socket.

    No name is looked up: what it means may change. Raises ContractError where the address cannot be read.
    """
    address = read_address(broker)
    return address.scheme == "unix" or all(_only_here(host) for host, _ in address.hosts)


def _only_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") in _LOOPBACK_NAMES
