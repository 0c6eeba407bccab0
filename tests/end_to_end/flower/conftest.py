"""Flower, and whatever a test sets beside it, as processes on a Redis of their own."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import websocket

WITHIN_S = 60.0
PASSWORD = "p,a:s s%w/ord"  # signs that addresses, lists and browsers treat specially
ROWS = """
JSON.stringify([...document.querySelectorAll('#tasks-table tbody tr')].map(
    row => [...row.cells].map(cell => cell.innerText.replace('\\n', ''))))
"""


def eventually(what: Callable[[], Any], *, within_s: float = WITHIN_S) -> Any:
    until_s = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < until_s, f"not within {within_s:g} s: {what}"
        time.sleep(0.1)
    return found


@dataclass
class Parts:
    """Processes on one Redis, each with its output in a file; people log in to Flower with `password`."""

    server: Any
    folder: Path
    password: str = PASSWORD
    started: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def spawn(self, *argv: str, **environment: str) -> "tuple[subprocess.Popen[bytes], Path]":
        log = self.folder / f"{len(self.started)}.log"
        own = {"SHAKEOUT_BROKER": self.server.url, "SHAKEOUT_SIGNING_KEY": "fleet=a-secret-of-these-tests"}
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", *argv], stdout=file, stderr=file, cwd=self.folder,
                env={**os.environ, **own, **environment},
            )  # fmt: skip
        self.started.append(process)
        return process, log

    def flower(self, *flags: str, **environment: str) -> "tuple[subprocess.Popen[bytes], Path, str]":
        environment = {"SHAKEOUT_FLOWER_PASSWORD": self.password, **environment}
        process, log = self.spawn("orchestrator", "flower", "--port", "0", *flags, **environment)

        def said() -> "re.Match[str] | None":
            assert process.poll() is None, log.read_text()
            return re.search(r"^flower: at (\S+)/tasks, ", log.read_text(), re.MULTILINE)

        return process, log, eventually(said)[1]

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture(scope="module")
def parts(valkey, tmp_path_factory) -> Iterator[Parts]:
    built = Parts(valkey(), tmp_path_factory.mktemp("flower"))
    yield built
    built.close()


def _ask(url: str, *, login: str = "", data: bytes | None = None, **headers: str) -> tuple[int, str]:
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=WITHIN_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class Browser:
    """One page of a headless Chromium, spoken to by its DevTools protocol."""

    def __init__(self, folder: Path) -> None:
        binary = shutil.which("chromium")
        if binary is None:
            pytest.skip("chromium is not installed here (apt-get install chromium)")
        profile = folder / "profile"
        self.process = subprocess.Popen(
            [
                binary, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--hide-scrollbars", "--remote-debugging-port=0",
                f"--user-data-dir={profile}", "about:blank",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        port = profile / "DevToolsActivePort"
        eventually(lambda: port.exists() and port.read_text().count("\n") == 1)
        at = f"http://127.0.0.1:{port.read_text().splitlines()[0]}/json"
        page = eventually(lambda: [one for one in json.loads(_ask(at)[1]) if one["type"] == "page"])[0]
        self._socket = websocket.create_connection(
            page["webSocketDebuggerUrl"], timeout=WITHIN_S, suppress_origin=True
        )
        self._calls = 0
        size = {"width": 1600, "height": 720, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": params}))
        while True:
            heard = json.loads(self._socket.recv())
            if heard.get("id") == self._calls:
                assert "error" not in heard, heard
                return heard["result"]

    def open(self, url: str) -> None:
        assert "errorText" not in self.call("Page.navigate", url=url)

    def read(self, script: str) -> Any:
        return self.call("Runtime.evaluate", expression=script)["result"].get("value")

    def rows(self) -> list[list[str]]:
        """The table of tasks as it stands on the page: one list of cells a row."""
        return [row for row in json.loads(self.read(ROWS) or "[]") if len(row) > 1]

    def text(self) -> str:
        return self.read("document.body && document.body.innerText") or ""

    def picture(self) -> bytes:
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        with suppress(Exception):
            self.call("Browser.close")
        self._socket.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def browser(tmp_path) -> Iterator[Browser]:
    opened = Browser(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def login() -> str:
    """What `parts` lets in."""
    return f"shakeout:{PASSWORD}"


@pytest.fixture
def ask() -> Callable[..., tuple[int, str]]:
    """Ask for a page: code and body."""
    return _ask


@pytest.fixture(scope="module")
def until() -> Callable[..., Any]:
    """Wait for a condition."""
    return eventually


@pytest.fixture
def other_parts(valkey, tmp_path) -> Iterator[Parts]:
    """Parts on a Redis that a test may stop."""
    built = Parts(valkey(), tmp_path)
    yield built
    built.close()
