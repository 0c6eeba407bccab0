"""Redis (or Valkey) by one address: how both sides open their own clients, and what Celery is told.

Addresses: `redis://`, `rediss://` (TLS), `unix://` as redis-py reads them, and
`sentinel://[user:password@]host:port[,host:port...]/MASTER[/DB]`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from workers.contract.errors import ContractError

if TYPE_CHECKING:
    import redis

TIMEOUT_S = 1.0
"""Of connecting and of each answer: longer than any blocking read, shorter than a lease (3 s)."""
CELERY_TIMEOUT_S = 2.0
"""Celery's own calls: its blocking reads last up to 1 s."""
SENTINEL_PORT = 26379


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Where the Sentinels are, which primary to ask them for, and how to log in to it."""

    hosts: tuple[tuple[str, int], ...]
    master: str
    db: int
    username: str | None
    password: str | None


def client(url: str) -> "redis.Redis":
    """Open a client that answers or raises within about a second, and never retries by itself.

    Not for sharing between threads that block. Raises ContractError where the address cannot be read.
    """
    from redis import Redis  # noqa: PLC0415  # the contract is also loaded by engines, which need no redis
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    options: dict[str, Any] = {
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
    }
    if not url.startswith("sentinel://"):
        try:
            return Redis.from_url(url, **options)
        except ValueError as error:
            raise ContractError(f"broker address {masked(url)} cannot be read: {error}") from error
    from redis.sentinel import Sentinel  # noqa: PLC0415

    place = sentinels(url)
    watch = Sentinel(list(place.hosts), sentinel_kwargs=dict(options), **options)  # type: ignore[no-untyped-call]
    login = {"username": place.username, "password": place.password, "db": place.db}
    primary: Redis = watch.master_for(place.master, **login)  # type: ignore[no-untyped-call]
    return primary


def celery_settings(url: str) -> dict[str, Any]:
    """Celery's `broker_*` settings for this address: short timeouts, and it never gives up."""
    transport: dict[str, Any] = {
        "socket_timeout": CELERY_TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "socket_keepalive": True,
    }
    broker = url
    if url.startswith("sentinel://"):
        place = sentinels(url)
        login = f":{quote(place.password, safe='')}@" if place.password else ""
        if place.username and login:
            login = quote(place.username, safe="") + login
        broker = ";".join(f"sentinel://{login}{host}:{port}/{place.db}" for host, port in place.hosts)
        transport["master_name"] = place.master
        transport["sentinel_kwargs"] = {"socket_timeout": TIMEOUT_S}
    return {
        "broker_url": broker,
        "broker_transport_options": transport,
        "broker_connection_timeout": TIMEOUT_S,
        "broker_connection_max_retries": None,
        "broker_connection_retry_on_startup": True,
    }


def sentinels(url: str) -> Sentinels:
    """Read a `sentinel://` address; raises ContractError where a part is missing."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    master, _, db = parts.path.strip("/").partition("/")
    if not hosts or not master or not (db or "0").isdecimal():
        raise ContractError(
            f"broker address {masked(url)} is incomplete: write sentinel://HOST:PORT,HOST:PORT/MASTER"
        )
    found: list[tuple[str, int]] = []
    for entry in hosts.split(","):
        host, _, port = entry.rpartition(":") if ":" in entry else (entry, "", str(SENTINEL_PORT))
        if not port.isdecimal():
            raise ContractError(f"broker address {masked(url)}: {port!r} is no port")
        found.append((host, int(port)))
    return Sentinels(tuple(found), master, int(db or 0), unquote(user) or None, unquote(password) or None)


def masked(url: str) -> str:
    """The address without its user and password, for messages."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"
