"""A whole check-up: broker, fleet, host, each as far as it can be asked."""

from collections.abc import Iterator

import redis

from orchestrator.checkup.access import Visit, address, answers, finding, permissions
from orchestrator.checkup.clock import clock
from orchestrator.checkup.finding import Finding
from orchestrator.checkup.fleet import fleet
from orchestrator.checkup.host import host
from orchestrator.checkup.server import server
from orchestrator.store.store import Store
from workers.contract.broker.permits import Role
from workers.contract.broker.trouble import what_and_do
from workers.contract.signed.signing import Keys


def check_up(*, broker: str, role: Role | None, runs: str, keys: Keys) -> tuple[Finding, ...]:
    """Look at everything once; takes a few seconds at most, also where nothing answers.

    `broker`: its address, "" for a look at this host alone. `role`: as whom it is used, None to guess.
    """
    found = list(_broker(broker, role, keys)) if broker else []
    return (*found, *host(runs=runs, keys=keys, broker=broker))


def _broker(url: str, role: Role | None, keys: Keys) -> Iterator[Finding]:
    first = address(url)
    yield first
    if first.level == "problem":
        return
    store = Store(url)
    visit = Visit(url, store.client, role)
    try:
        reached = tuple(answers(visit))
        yield from reached
        if any(one.level == "problem" for one in reached):
            return
        yield from server(visit)
        yield from permissions(visit)
        yield from clock(visit)
        yield from fleet(store, url=url, keys=keys)
    except redis.RedisError as error:
        what, do = what_and_do(error, url)
        yield finding("reachable", "problem", f"it went away in the middle of this: {what}", do)
    finally:
        store.client.close()
