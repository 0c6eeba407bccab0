"""What is signed and how it is checked: facts that persons and the leader say, tasks, and who may do without.

A fact's signature binds the campaign's id and all of the fact, so it is worth nothing in another campaign; a
task's binds all of the task. Keys are named in the environment of each process (SHAKEOUT_SIGNING_KEY,
SHAKEOUT_SUBMITTER_KEYS).
"""

import hashlib
import ipaddress
from typing import Final, TypeVar

import msgspec

from workers.contract.broker import masked, read_address
from workers.contract.errors import ContractError
from workers.contract.facts import AbortAsked, Accepted, Noted, Submitted
from workers.contract.signing import Keys, Purpose, Signed, check, sign
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


_Said = TypeVar("_Said", Submitted, AbortAsked, Noted, Accepted)
_FACTS: Final[dict[type, tuple[Purpose, float]]] = {
    Submitted: ("submission", SUBMISSION_COUNTS_S),
    Accepted: ("acceptance", 0.0),
    AbortAsked: ("abort", WORD_COUNTS_S),
    Noted: ("note", WORD_COUNTS_S),
}
_LOOPBACK_NAMES: Final = frozenset({"localhost", "ip6-localhost"})


def sign_fact(fact: _Said, *, campaign: str, keys: Keys, now_s: float) -> _Said:
    """The fact with its signature, made at `now_s` of common time; unchanged but for "" without a key."""
    purpose, counts_s = _FACTS[type(fact)]
    expires_s = now_s + counts_s if counts_s else 0.0
    token = sign(fact_body(fact, campaign), purpose=purpose, keys=keys, at_s=now_s, expires_s=expires_s)
    return msgspec.structs.replace(fact, signature=token)


def check_fact(fact: _Said, *, campaign: str, keys: Keys, now_s: float) -> Signed:
    """Who signed the fact for this campaign. Raises SignatureError."""
    purpose, _ = _FACTS[type(fact)]
    return check(fact.signature, fact_body(fact, campaign), purpose=purpose, keys=keys, now_s=now_s)


def fact_body(fact: Submitted | AbortAsked | Noted | Accepted, campaign: str) -> bytes:
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
