"""The broker's part of a check-up, first half: its address, the way there, the login, and what it permits."""

from collections.abc import Iterator
from dataclasses import dataclass

import redis

from orchestrator.checkup.finding import Finding, Level
from workers.contract.broker.connection import Address, masked, read_address, user_of
from workers.contract.broker.permits import ROLES, Denied, Role, acl_line, denied, listed
from workers.contract.broker.trouble import is_lasting, what_and_do
from workers.contract.errors import ContractError

_SCRIPT = "return redis.call('TIME')"


@dataclass(frozen=True, slots=True)
class Visit:
    """One look at a broker: its address, a client, and the role whose permissions are asked for.

    `role` None: the one that the user is called, else the one that it comes nearest to.
    """

    url: str
    client: redis.Redis
    role: Role | None


def finding(check: str, level: Level, what: str, do: str = "") -> Finding:
    """One about the broker."""
    return Finding(area="broker", check=check, level=level, what=what, do=do)


def address(url: str) -> Finding:
    """Whether the address can be read, and what it says."""
    try:
        read = read_address(url)
    except ContractError as error:
        return finding("address", "problem", str(error), "correct --broker or SHAKEOUT_BROKER")
    return finding("address", "ok", f"{masked(url)}, {_security(read)}, as user {user_of(url)}")


def answers(visit: Visit) -> Iterator[Finding]:
    """Whether it can be reached, and the login holds; a problem here leaves nothing else to ask."""
    try:
        visit.client.ping()
    except (redis.RedisError, OSError) as error:
        what, do = what_and_do(error, visit.url)
        login = isinstance(error, redis.AuthenticationError | redis.ResponseError) and is_lasting(error)
        if login:
            yield finding("reachable", "ok", "something answers there")
        yield finding("login" if login else "reachable", "problem", what, do)
        return
    yield finding("reachable", "ok", "it answers")
    yield finding("login", "ok", f"as user {user_of(visit.url)}")


def permissions(visit: Visit) -> Iterator[Finding]:
    """Whether the user may do what its role must, and whether Lua scripts run."""
    try:
        role, found = _nearest(visit)
    except ContractError as error:
        yield finding("permissions", "problem", str(error), "allow +multi +exec +discard")
        return
    except redis.ResponseError as error:
        yield finding("permissions", "problem", *what_and_do(error, visit.url))
        return
    user = user_of(visit.url)
    if found:
        yield finding(
            "permissions",
            "problem",
            f"user {user} may not {listed(found)}, as a {role} must",
            f"{acl_line(user, found)}, and the same in the ACL file",
        )
    else:
        yield finding("permissions", "ok", f"user {user} may do all that its role must ({role})")
    yield _scripts(visit)


def _security(read: Address) -> str:
    tls = "plain" if read.tls is None else "TLS"
    if read.tls is not None and not read.tls["ssl_check_hostname"]:
        tls = "TLS without a check of the server's name"
    return tls if read.scheme != "sentinel" else f"{tls}, {len(read.hosts)} Sentinels for {read.master}"


def _nearest(visit: Visit) -> tuple[Role, tuple[Denied, ...]]:
    """The role that this user is meant for, and what it lacks for that."""
    named = next((role for role in ROLES if role == user_of(visit.url)), None)
    wanted = visit.role or named
    if wanted is not None:
        return wanted, denied(visit.client, wanted)
    lacks = {role: denied(visit.client, role) for role in ROLES}
    nearest = min(ROLES, key=lambda role: len(lacks[role]))
    return nearest, lacks[nearest]


def _scripts(visit: Visit) -> Finding:
    try:
        visit.client.eval(_SCRIPT, 0)
    except redis.ResponseError as error:
        what, do = what_and_do(error, visit.url)
        return finding("scripts", "problem", f"a Lua script does not run: {what}", do)
    return finding("scripts", "ok", "Lua scripts run")
