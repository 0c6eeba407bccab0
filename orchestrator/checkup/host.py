"""This host's part of a check-up: system, limits, packages, room for results, NVIDIA driver, signing key."""

import platform
import resource
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from orchestrator.checkup import calibration
from orchestrator.checkup.finding import Finding, Level
from workers.contract.errors import ContractError
from workers.contract.signed.signing import SHORT_KEY, Keys
from workers.contract.signed.trust import is_loopback

OLDEST_PYTHON = (3, 11)
FILES, FEWEST_FILES = 16_384, 1_024
"""An engine holds a socket for each request in flight, 10,000 by default."""
PORTS, FEWEST_PORTS = 20_000, 5_000
"""A connection takes one port for each target, and keeps it for a minute after it was closed."""
ROOM_BYTES, LEAST_ROOM_BYTES = 2**30, 100 * 2**20
"""A campaign of 8 h leaves about 100 MiB of parts and a report."""
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_DRIVER = Path("/proc/driver/nvidia/version")


def host(*, runs: str, keys: Keys, broker: str) -> Iterator[Finding]:
    """All of it. `runs`: the folder (or URL) of results; `broker`: "" where none is named."""
    yield _system()
    yield _python()
    yield _files()
    yield from _ports()
    yield from packages()
    yield from _room(runs)
    yield _driver()
    yield calibration.finding(calibration.known())
    yield from signing(keys, broker=broker)


def packages(name: str = "shakeout") -> Iterator[Finding]:
    """Whether what an installed distribution requires is there, in the versions that it requires."""
    wrong = []
    listed = metadata.requires(name) or []
    for line in listed:
        try:
            wanted = Requirement(line)
        except InvalidRequirement as error:
            wrong.append(f"{line!r} cannot be read ({error})")
            continue
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            there = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(there, prereleases=True):
            wrong.append(f"{wanted.name} is {there}, not {wanted.specifier}")
    if wrong:
        yield _finding(
            "packages", "problem", "; ".join(wrong), "install Shakeout again with its constraints.txt"
        )
    else:
        yield _finding(
            "packages", "ok", f"{name} {metadata.version(name)} and what it requires are installed"
        )


def signing(keys: Keys, *, broker: str) -> Iterator[Finding]:
    """Whether there is a key to sign with, and whether it can be guessed."""
    short = [str(key) for key in keys.keys if len(key.secret) < SHORT_KEY]
    if short:
        what = f"too short, so it can be guessed: {', '.join(short)}"
        yield _finding(
            "signing key", "warning", what, f"use {SHORT_KEY} characters or more: openssl rand -hex 32"
        )
    elif keys.own is not None:
        yield _finding("signing key", "ok", f"SHAKEOUT_SIGNING_KEY is key {keys.own}")
    elif not broker or _here(broker):
        yield _finding(
            "signing key", "ok", "SHAKEOUT_SIGNING_KEY is not set; on this machine alone that may be"
        )
    else:
        what = "SHAKEOUT_SIGNING_KEY is not set, and others can reach the broker"
        yield _finding("signing key", "problem", what, "ask the operator of the fleet for a key")


def _system() -> Finding:
    name = f"{platform.system()} {platform.release()}, {platform.machine()}"
    if platform.system() == "Linux":
        return _finding("system", "ok", name)
    return _finding("system", "problem", f"{name}: only Linux will do", "use a Linux host or container")


def _python() -> Finding:
    if sys.version_info >= OLDEST_PYTHON:
        return _finding("python", "ok", platform.python_version())
    return _finding(
        "python", "problem", f"{platform.python_version()} is too old", "install Python 3.11 or newer"
    )


def _files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    level = _level(soft, FILES, FEWEST_FILES)
    do = (
        "" if level == "ok" else f"ulimit -n {FILES} (hard limit {hard}), or LimitNOFILE= in its systemd unit"
    )
    return _finding("open files", level, f"at most {soft:,} at once", do)


def _ports() -> Iterator[Finding]:
    try:
        low, high = (int(part) for part in _PORT_RANGE.read_text().split())
    except (OSError, ValueError):
        return
    count = high - low + 1
    level = _level(count, PORTS, FEWEST_PORTS)
    do = "" if level == "ok" else 'sysctl net.ipv4.ip_local_port_range="15000 65000"'
    yield _finding("local ports", level, f"{count:,}, from {low} to {high}", do)


def _room(runs: str) -> Iterator[Finding]:
    if "://" in runs:
        return
    place = Path(runs).absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    level = _level(free, ROOM_BYTES, LEAST_ROOM_BYTES)
    do = "" if level == "ok" else "make room, or say --runs elsewhere"
    yield _finding("disk", level, f"{free / 2**30:,.1f} GiB free for runs at {place}", do)


def _driver() -> Finding:
    try:
        return _finding("gpu driver", "ok", _DRIVER.read_text().splitlines()[0].strip())
    except (OSError, IndexError):
        return _finding("gpu driver", "ok", "no NVIDIA driver; only GPU campaigns need one")


def _here(broker: str) -> bool:
    try:
        return is_loopback(broker)
    except ContractError:
        return True  # said by the check of the address


def _level(amount: int, enough: int, least: int) -> Level:
    return "problem" if amount < least else "warning" if amount < enough else "ok"


def _finding(check: str, level: Level, what: str, do: str = "") -> Finding:
    return Finding(area="host", check=check, level=level, what=what, do=do)
