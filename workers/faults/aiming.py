"""What the clients of faults are aimed at, as this worker sees it: its secrets, its files, its ceilings."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from workers.chaos.aim import Aim, AimTls
from workers.chaos.contract import kind_of
from workers.contract.addresses import address_of, apart, is_literal
from workers.contract.fault_steps import FaultStep
from workers.contract.references import referred
from workers.contract.spec import ChaosSpec, FileRef, ShardTask, TargetSpec, Tls
from workers.engine.ceiling import TARGETS, WORKERS, limit_of
from workers.files import fetch
from workers.guard import fill_target
from workers.settings import Settings

if TYPE_CHECKING:
    from workers.attempts.mailbox import Worker  # whose thread for dry runs needs this module

INDICES_OF_A_STEP = 1_000_000_000
"""Each step of an activity numbers its requests from a multiple of this on, so that no two are alike."""


def files_here(spec: ChaosSpec, worker: "Worker") -> dict[str, str]:
    """The files that its clients need, fetched: their names in the campaign and sha256 -> path here.

    Raises DataError, HostError.
    """
    found: dict[str, str] = {}
    for ref in _refs(spec):
        folder = worker.settings.home / "files"
        path = fetch(worker.link.open_client(), ref.sha256, folder=folder, name=ref.name)
        found[ref.name] = found[ref.sha256] = str(path)
    return found


def aims_of(
    steps: Sequence[FaultStep],
    target: TargetSpec | None,
    *,
    settings: Settings,
    task: ShardTask | None = None,
    files: Mapping[str, str] | None = None,
) -> tuple[Aim | None, ...]:
    """For each step what its clients are aimed at; None for a fault that no clients do.

    `task`: whose requests they are. `files`: as options name them, or their sha256 -> path on this machine.
    Raises SecretUnsetError.
    """
    if target is None or not any(kind_of(step.fault).client for step in steps):
        return (None,) * len(steps)
    filled = fill_target(target, settings)
    files = files or {}
    aim = Aim(
        name=target.name,
        protocol=target.protocol,
        url=filled.url,
        options=filled.options,
        headers=filled.headers,
        timeout_s=target.timeout_s,
        tls=_tls(target.tls, files),
        files=dict(files),
        shown="" if referred([target.url]) else None,
    )
    if task is not None:
        aim = replace(
            aim,
            campaign=task.campaign,
            activity=task.activity,
            number=task.number,
            shard=task.shard,
            of=task.of,
        )
    found: list[Aim | None] = [None] * len(steps)
    for number, step in enumerate(steps):
        if kind_of(step.fault).client:
            limited = _limited(aim, steps, step, target=target, settings=settings)
            found[number] = replace(limited, first=INDICES_OF_A_STEP * number)
    return tuple(found)


def _refs(spec: ChaosSpec) -> Iterator[FileRef]:
    yield from spec.files
    tls = spec.target.tls if spec.target is not None else None
    if tls is not None:
        yield from (ref for ref in (tls.ca, tls.cert, tls.key) if ref is not None)


def _tls(tls: Tls | None, files: Mapping[str, str]) -> AimTls:
    if tls is None:
        return AimTls()
    refs = (tls.ca, tls.cert, tls.key)
    ca, cert, key = ("" if ref is None else files.get(ref.sha256, "") for ref in refs)
    return AimTls(ca, cert, key, tls.verify, tls.server_name)


def _limited(
    aim: Aim, steps: Sequence[FaultStep], step: FaultStep, *, target: TargetSpec, settings: Settings
) -> Aim:
    """Under the lowest ceiling: this host's part of the target's, this slot's part of the worker's own.

    Steps of clients that run at the same time have their part of it each.
    """
    together = sum(
        kind_of(other.fault).client
        and other.at_s < step.at_s + step.for_s
        and step.at_s < other.at_s + other.for_s
        for other in steps
    )
    whole, own = target.rate_limit_per_s, _own_limit(aim.url, settings)
    parts = [
        (per_s / max(1, together), whose)
        for per_s, whose in (
            (None if whole is None else whole / aim.of, TARGETS),
            (None if own is None else own / settings.slots, WORKERS),
        )
        if per_s is not None
    ]
    if not parts:
        return aim
    per_s, whose = min(parts)
    return replace(aim, per_s=per_s, whose=whose)


def _own_limit(url: str, settings: Settings) -> float | None:
    """The operator's limit on the target's place, by its name and by the addresses that it leads to here."""
    place = address_of(url)
    if not place or not settings.target_limits:
        return None
    host, port = apart(place)
    addresses = [host] if is_literal(host) else []
    with suppress(OSError):
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses += [str(one[4][0]) for one in found]
    return limit_of(place, addresses, settings.target_limits)
