"""Redis (or Valkey) by one address: how both sides open their own clients, and what Celery is told.

`redis://` and `rediss://` (TLS) `[USER:PASSWORD@]HOST[:PORT][/DB]`, `unix://[USER:PASSWORD@]/PATH[?db=DB]`,
`sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST...]/MASTER[/DB]`. `?ssl_ca_certs=FILE`, `ssl_certfile`,
`ssl_keyfile`, `ssl_check_hostname=false`, `ssl_cert_reqs=none` go with TLS; with Sentinel also `ssl=true`
(TLS to all of them), `sentinel_username`, `sentinel_password`. docs/redis.md tells operators.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from workers.contract.errors import ContractError

if TYPE_CHECKING:
    import redis

TIMEOUT_S = 1.0
"""Of connecting and of each answer: longer than any blocking read, shorter than a lease (3 s)."""
CELERY_TIMEOUT_S = 2.0
"""Celery's own calls: its blocking reads last up to 1 s."""
CELERY_LOOKS_EVERY_S = 3
"""After a cut of the network Celery waits on a connection that only it believes in: it looks so often."""
SENTINEL_PORT = 26379
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
TLS_OPTIONS = (*TLS_FILES, "ssl_check_hostname", "ssl_cert_reqs")
OPTIONS = {
    "redis": (),
    "rediss": TLS_OPTIONS,
    "unix": ("db",),
    "sentinel": ("ssl", *TLS_OPTIONS, "sentinel_username", "sentinel_password"),
}
"""Scheme -> what may follow the question mark."""
_TRUTH = {"true": True, "false": False}
_CERT_REQS = ("none", "optional", "required")


@dataclass(frozen=True, slots=True)
class Address:
    """A broker's address as read. `tls`: redis-py's ssl_ arguments, None for plain connections.

    `hosts`: of the one server, or of the Sentinels; empty for a socket at `path`. `master`: the primary to
    ask Sentinels for. `sentinel_login`: redis-py's arguments for the Sentinels' own login.
    """

    scheme: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    master: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: dict[str, Any] | None = None
    sentinel_login: dict[str, str] | None = field(default=None, repr=False)


def read_address(url: str) -> Address:
    """Read a broker's address whole. Raises ContractError, which shows no password and says what to write."""
    parts = urlsplit(url)
    if parts.scheme not in OPTIONS or "://" not in url:
        raise _wrong(url, "it begins with none of redis:// rediss:// unix:// sentinel://")
    options = _options(url, parts)
    login, _, place = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    path, db = unquote(parts.path), options.get("db", "")
    master = ""
    if parts.scheme == "sentinel":
        master, _, db = path.strip("/").partition("/")
    elif parts.scheme != "unix":
        db = path.strip("/")
    if not (db or "0").isdecimal():
        raise _wrong(url, f"{db!r} is no number of a database")
    port = SENTINEL_PORT if parts.scheme == "sentinel" else 6379
    hosts = () if parts.scheme == "unix" else _hosts(url, place, port)
    if parts.scheme != "sentinel" and len(hosts) > 1:
        raise _wrong(url, "it names several servers: only sentinel://HOST:PORT,HOST:PORT/MASTER may")
    if parts.scheme == "sentinel" and not (place and master):
        raise _wrong(url, "it is incomplete: write sentinel://HOST:PORT,HOST:PORT/MASTER")
    if parts.scheme == "unix" and not path:
        raise _wrong(url, "it names no socket: write unix:///PATH")
    return Address(
        scheme=parts.scheme,
        hosts=hosts,
        path=path if parts.scheme == "unix" else "",
        master=master,
        db=int(db or 0),
        username=unquote(user) or None,
        password=unquote(password) or None,
        tls=_tls(url, parts.scheme, options),
        sentinel_login={
            key: options[f"sentinel_{key}"]
            for key in ("username", "password")
            if options.get(f"sentinel_{key}")
        },
    )


def client(url: str, *, connecting: Callable[[], None] | None = None) -> "redis.Redis":
    """Open a client that answers or raises within about a second, and never retries by itself.

    Not for sharing between threads that block. `connecting` is called at each new connection, which may be to
    another server than before, ahead of any command; what it raises is raised by the call that needs the
    connection. Raises ContractError where the address cannot be read.
    """
    from redis import Redis, UnixDomainSocketConnection  # noqa: PLC0415  # engines load this, and need no redis
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.connection import ConnectionPool  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    address = read_address(url)
    own: dict[str, Any] = {"socket_timeout": TIMEOUT_S, "retry": Retry(NoBackoff(), 0)}
    login: dict[str, Any] = {"username": address.username, "password": address.password, "db": address.db}
    if connecting is not None:

        def connect(connection: Any) -> None:
            connecting()
            connection.on_connect()

        login["redis_connect_func"] = connect
    if address.scheme == "unix":
        pool = ConnectionPool(connection_class=UnixDomainSocketConnection, path=address.path, **own, **login)
        return Redis.from_pool(pool)
    own["socket_connect_timeout"] = TIMEOUT_S
    tls = {} if address.tls is None else {"ssl": True, **address.tls}
    if address.scheme != "sentinel":
        ((host, port),) = address.hosts
        return Redis(host=host, port=port, **login, **own, **tls)
    from redis.sentinel import Sentinel  # noqa: PLC0415

    watch = Sentinel(  # type: ignore[no-untyped-call]
        list(address.hosts), sentinel_kwargs={**own, **tls, **(address.sentinel_login or {})}, **own
    )
    primary: Redis = watch.master_for(address.master, **login, **tls)  # type: ignore[no-untyped-call]
    return primary


def is_confirmed(client: "redis.Redis", replication: Mapping[str, Any], *, replicas: int) -> bool:
    """Behind Sentinel: whether a failover would know of what was written.

    `replication`: that section of INFO; `replicas`: WAIT's answer. Where none follows, and Sentinel names
    this server all the same, there is nothing to fail over to.
    """
    if replicas > 0:
        return True
    still = _is_still_primary(client)
    slaves = [
        value for key, value in replication.items() if key.startswith("slave") and isinstance(value, dict)
    ]
    return still and all(one.get("state") != "online" for one in slaves)


def _is_still_primary(client: "redis.Redis") -> bool:
    """Whether Sentinel names the server that this client is connected to.

    If it names another, the client leaves this one: its next call goes there. False also where no Sentinel
    answers.
    """
    from redis.exceptions import RedisError  # noqa: PLC0415

    pool: Any = client.connection_pool
    try:
        named = pool.sentinel_manager.discover_master(pool.service_name)
    except (RedisError, OSError):
        return False
    if named == pool.master_address:
        return True
    pool.disconnect()
    return False


def celery_settings(url: str) -> dict[str, Any]:
    """Celery's `broker_*` settings for this address: short timeouts, and it never gives up."""
    address = read_address(url)
    transport: dict[str, Any] = {
        "socket_timeout": CELERY_TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "socket_keepalive": True,
        "health_check_interval": CELERY_LOOKS_EVERY_S,
    }
    if address.scheme == "sentinel":
        tls = {} if address.tls is None else {"ssl": True, **address.tls}
        transport["master_name"] = address.master
        transport["sentinel_kwargs"] = {
            "socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S,
            **tls, **(address.sentinel_login or {}),
        }  # fmt: skip
    settings = {
        "broker_url": _celery_url(address),
        "broker_transport_options": transport,
        "broker_connection_timeout": TIMEOUT_S,
        "broker_connection_max_retries": None,
        "broker_connection_retry_on_startup": True,
        # a full disk or memory, or a permission taken away, must not end a worker whose engines run
        "broker_channel_error_retry": True,
    }
    return settings if address.tls is None else {**settings, "broker_use_ssl": address.tls}


def masked(url: str) -> str:
    """The address (or any URL, or a path) without its user, passwords and options, for messages."""
    scheme, mark, rest = url.partition("://")
    login, _, place = rest.rpartition("@")
    if "?" in login:  # a password that is not encoded, or an @ among the options: nobody can tell
        place = "..."
    return f"{scheme}{mark}{place.partition('?')[0]}"


def masked_in(text: str, url: str) -> str:
    """What a library says of a URL, with the URL in it masked, with its scheme or without."""
    for said in filter(None, (url, url.partition("://")[2])):
        text = text.replace(said, masked(url))
    return text


def user_of(url: str) -> str:
    """The Redis user that an address logs in as."""
    return unquote(urlsplit(url).netloc.rpartition("@")[0].partition(":")[0]) or "default"


def _celery_url(address: Address) -> str:
    """As kombu writes addresses; TLS and Sentinel's own login are told beside it."""
    login = f":{quote(address.password, safe='')}@" if address.password else ""
    if address.username and login:
        login = quote(address.username, safe="") + login
    if address.scheme == "unix":
        return f"redis+socket://{login}{quote(address.path)}?virtual_host={address.db}"
    places = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in address.hosts)
    return ";".join(f"{address.scheme}://{login}{place}/{address.db}" for place in places)


def _options(url: str, parts: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = OPTIONS[parts.scheme]
    for name in options:
        if name not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no options"
            hint = " (TLS is rediss://)" if name.startswith("ssl") and parts.scheme == "redis" else ""
            raise _wrong(url, f"it has the option {name}, but {parts.scheme}:// {takes}{hint}")
    return options


def _hosts(url: str, place: str, default_port: int) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    for entry in place.split(","):
        try:
            one = urlsplit(f"//{entry}")
            found.append((one.hostname or "127.0.0.1", default_port if one.port is None else one.port))
        except ValueError as error:
            raise _wrong(url, f"{entry!r} is no HOST:PORT ({error})") from error
    return tuple(found)


def _tls(url: str, scheme: str, options: dict[str, str]) -> dict[str, Any] | None:
    """redis-py's arguments for TLS, files looked for now; None where it is not asked for."""
    asked = {name: value for name, value in options.items() if name in TLS_OPTIONS}
    wanted = scheme == "rediss" or _truth(url, options, "ssl", default=False)
    if not wanted:
        if asked:
            raise _wrong(url, f"{', '.join(asked)} without TLS: add ssl=true")
        return None
    for name in TLS_FILES:
        if name in asked and not Path(asked[name]).is_file():
            raise _wrong(url, f"{name}: there is no file {asked[name]}")
    if "ssl_keyfile" in asked and "ssl_certfile" not in asked:
        raise _wrong(url, "ssl_keyfile needs ssl_certfile beside it")
    if asked.get("ssl_cert_reqs", "required") not in _CERT_REQS:
        raise _wrong(url, f"ssl_cert_reqs is one of {', '.join(_CERT_REQS)}")
    tls: dict[str, Any] = {"ssl_cert_reqs": "required", **asked}
    sure = tls["ssl_cert_reqs"] != "none"
    tls["ssl_check_hostname"] = sure and _truth(url, options, "ssl_check_hostname", default=True)
    return tls


def _truth(url: str, options: dict[str, str], name: str, *, default: bool) -> bool:
    text = options.get(name, str(default).lower()).lower()
    if text not in _TRUTH:
        raise _wrong(url, f"{name} is true or false, not {text!r}")
    return _TRUTH[text]


def _wrong(url: str, why: str) -> ContractError:
    return ContractError(f"broker address {masked(url)!r} cannot be read: {why}")
