"""Whether a fault may come to this worker's host at all: what is protected here, and what else lives here."""

import socket
from contextlib import suppress

from workers import host
from workers.chaos.contract import kind_of
from workers.contract.addresses import apart, is_literal, is_loopback, plain_host
from workers.contract.errors import ShakeoutWorkerError
from workers.contract.fault_steps import FaultStep
from workers.faults.host_rules import broker_places
from workers.settings import Settings


def refusal(
    step: FaultStep, *, protect: tuple[str, ...], on_generators: bool, settings: Settings, engines: int
) -> str:
    """Why this step may not be done here, in plain words; empty where it may.

    The leader places by the same rules; it may know less of this host, or be somebody else. `engines`: of
    this worker, that have attempts to do.
    """
    protected = sorted(set(protect) & set(settings.labels))
    if protected:
        return f"refused: this worker has the label {protected[0]}, which `protect` keeps from every fault"
    if on_generators or not kind_of(step.fault).wide:
        return ""
    lives_here = _lives_here(settings, engines)
    if not lives_here:
        return ""
    return (
        f"refused: {lives_here}, and the whole host would feel {step.fault}: "
        "say `on_generators: true` if that is meant"
    )


def _lives_here(settings: Settings, engines: int) -> str:
    """What of the campaign's own machinery this host carries, in plain words; empty: nothing known."""
    if engines:
        return f"{engines} of this worker's engines {'sends' if engines == 1 else 'send'} load"
    own = {*host.addresses(), plain_host(socket.gethostname())}
    try:
        places = broker_places(settings.broker)
    except ShakeoutWorkerError:
        return ""  # a worker whose broker's address is wrong has heard of no fault either
    if not places:
        return "its Redis is reached by a Unix socket, so it is on this host"
    here = next((place for place in places if _is_here(apart(place)[0], own)), "")
    return f"Redis at {here} is on this host" if here else ""


def _is_here(name: str, own: set[str]) -> bool:
    if is_loopback(name) or name in own:
        return True
    if is_literal(name):
        return False
    with suppress(OSError):
        found = {str(one[4][0]) for one in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
        return any(is_loopback(one) or plain_host(one) in own for one in found)
    return False
