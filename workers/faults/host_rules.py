"""What faults on this host must heed, of this worker's own settings: said anew for each fault."""

from typing import Any

from workers.chaos.contract import HostRules
from workers.contract.addresses import joined
from workers.contract.broker import connection
from workers.settings import Settings


def host_rules(settings: Settings) -> HostRules:
    """The rules of this worker's operator. Raises ContractError where the address of its broker is wrong."""
    return HostRules(
        worker=settings.name,
        broker=broker_places(settings.broker),
        allow_targets=settings.allow_targets,
        user_code=tuple(str(folder) for folder in settings.user_code),
        secrets=str(settings.secrets),
        home=str(settings.home),
    )


def broker_places(url: str) -> tuple[str, ...]:
    """HOST:PORT of every server that this broker may be at; of a Unix socket none.

    Behind Sentinel: the Sentinels, and the primary and replicas that any of them names now (after a failover
    the worker has to reach another one); none where no Sentinel answers within about a second each.
    """
    address = connection.read_address(url)
    places = [joined(host, port) for host, port in address.hosts]
    if address.scheme == "sentinel":
        places += _named_by_sentinels(url, address.master)
    return tuple(dict.fromkeys(places))


def _named_by_sentinels(url: str, master: str) -> list[str]:
    from redis.exceptions import RedisError  # noqa: PLC0415  # a lone Redis needs none of this

    manager: Any = connection.client(url).connection_pool
    found: list[str] = []
    for sentinel in manager.sentinel_manager.sentinels:
        try:
            primary = sentinel.sentinel_get_master_addr_by_name(master)
            found += [joined(_text(host), int(port)) for host, port in ([primary] if primary else [])]
            found += [joined(_text(one["ip"]), int(one["port"])) for one in sentinel.sentinel_slaves(master)]
        except (RedisError, OSError):
            continue
    return found


def _text(host: str | bytes) -> str:
    return host.decode() if isinstance(host, bytes) else host
