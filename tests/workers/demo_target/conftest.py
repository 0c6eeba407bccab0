import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

WAIT_S = 10.0


class Running:
    """A demo target as a process of its own, and its log."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), (line, process.poll())
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])

    def ask(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None):
        """(status, headers, text) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, data, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, dict(answer.getheaders()), text

    def socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]

    def wait_for_line(self, event: str, count: int = 1) -> list[dict]:
        deadline = time.monotonic() + WAIT_S
        while True:
            found = [line for line in self.lines() if line["event"] == event]
            if len(found) >= count or time.monotonic() > deadline:
                assert len(found) == count
                return found
            time.sleep(0.005)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Iterator[Callable[..., Running]]:
    """Start demo targets; those still alive are killed at the module's end."""
    processes = []

    def start(*flags: str) -> Running:
        log = tmp_path_factory.mktemp("demo") / "truth.jsonl"
        command = [sys.executable, "-m", "workers.demo_target", "--log", str(log), *flags]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return Running(process, log)

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
