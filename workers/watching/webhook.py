"""A receiver of Alertmanager's webhooks: `shakeout worker --webhook HOST:PORT`.

It believes nobody: what is sent becomes a fact beside what the monitor itself says, by which no verdict is
reached, and only for alerts that a campaign which runs here asks about. Bodies, connections and time are
bounded.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec

from workers.watching.hooks import Hooks, Sent
from workers.watching.prometheus import moment

MOST_BYTES: Final = 1024 * 1024
"""Alertmanager groups some hundred alerts into one message at most, of some KiB each."""
MOST_ALERTS: Final = 1000
MOST_AT_ONCE: Final = 16
"""Connections: there is one Alertmanager, or a few."""
TIMEOUT_S: Final = 5.0

log = logging.getLogger(__name__)


class _Alert(msgspec.Struct, frozen=True):
    status: str
    labels: dict[str, str] = {}
    startsAt: str = ""  # noqa: N815  # Alertmanager's own name
    endsAt: str = ""  # noqa: N815


class _Message(msgspec.Struct, frozen=True):
    alerts: tuple[_Alert, ...] = ()


class Receiver:
    """The listening thread; `port` is known once it is made. Raises OSError where the address is taken."""

    def __init__(self, host: str, port: int, *, hooks: Hooks, clock: Callable[[], float]) -> None:
        self._server = _Server((host, port), _handler(hooks, clock))
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="webhook", daemon=True
        )

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(TIMEOUT_S)
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._room = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request
        log.debug("a webhook's connection from %s broke", client_address)


def _handler(hooks: Hooks, clock: Callable[[], float]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT_S

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal():
                self._answer(411, "say Content-Length")
            elif int(length) > MOST_BYTES:
                self._answer(413, f"more than {MOST_BYTES} bytes")
            else:
                self._take(self.rfile.read(int(length)))

        def do_GET(self) -> None:
            self._answer(200, "shakeout takes Alertmanager's webhooks here, by POST")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class calls it so
            del format, args  # whoever reaches the port could fill the log

        def _take(self, body: bytes) -> None:
            try:
                told = sum(hooks.sent(one) for one in read(body, clock()))
            except (msgspec.DecodeError, UnicodeDecodeError):
                self._answer(400, "not a message of Alertmanager's webhook")
            else:
                self._answer(200, f"told to {told}")

        def _answer(self, status: int, text: str) -> None:
            body = f"{text}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

    return Handler


def read(body: bytes, came_s: float) -> Sequence[Sent]:
    """The alerts of one message. Raises msgspec.DecodeError where it is none."""
    message = msgspec.json.decode(body, type=_Message)
    return [
        Sent(
            alert=one.labels.get("alertname", ""),
            state="resolved" if one.status == "resolved" else "firing",
            fired_s=moment(one.startsAt),
            ended_s=moment(one.endsAt) if one.status == "resolved" else 0.0,
            came_s=came_s,
        )
        for one in message.alerts[:MOST_ALERTS]
    ]
