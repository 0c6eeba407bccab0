"""A server that answers as a test says, a place to ask it at, and a real Alertmanager."""

import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers.engine.allow import parse_allow_list
from workers.watching.fetch import Place

STARTS_WITHIN_S = 30.0
PORTS_TRIED = 3  # one that was free may be taken before the server has it


@pytest.fixture
def place_at() -> Callable[..., Place]:
    """`place_at(url, **fields)`: where to ask, allowed as loopback is."""

    def make(url: str, **given: object) -> Place:
        keys = {"headers": {}, "allowed": parse_allow_list(()), "clock": time.time} | given
        return Place(url=url, **keys)

    return make


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Starts a server that gives each connection the same bytes, in pieces with a pause between; its URL."""
    listeners: list[socket.socket] = []

    def start(*pieces: bytes, pause_s: float = 0.0) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    near, _ = listener.accept()
                except OSError:
                    return
                with near:
                    try:
                        near.recv(65536)
                        for piece in pieces:
                            near.sendall(piece)
                            time.sleep(pause_s)
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for one in listeners:
        one.shutdown(socket.SHUT_RDWR)  # who waits for a connection does not hear of a close
        one.close()


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Alertmanager's URL; skips where there is none."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        pytest.skip("needs Alertmanager (Debian's package prometheus-alertmanager)")
    folder: Path = tmp_path_factory.mktemp("alertmanager")
    config = folder / "alertmanager.yml"
    config.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    for _ in range(PORTS_TRIED):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = subprocess.Popen(
            [
                program, f"--config.file={config}", f"--storage.path={folder}",
                f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        if _comes_up(process, url):
            break
    else:
        raise AssertionError("Alertmanager does not start")
    yield url
    process.kill()
    process.wait()


def _comes_up(process: "subprocess.Popen[bytes]", url: str) -> bool:
    """Wait until it is ready; False where it has ended instead."""
    until_s = time.monotonic() + STARTS_WITHIN_S
    while not _is_ready(url):
        if process.poll() is not None:
            return False
        assert time.monotonic() < until_s
        time.sleep(0.05)
    return True


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
