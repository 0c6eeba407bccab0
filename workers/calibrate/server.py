"""The server that a host is calibrated against: answers known bytes, so that it is never what limits.

`python -m workers.calibrate.server --die-with-parent=PID`: prints its port. A POST to a path with `chat` is
answered by a stream of TOKENS chunks, GAP_S apart; all else by a small JSON at once. Requests are told apart
by `content-length` alone, as our own engine writes them. One thread over epoll: 10 to 15 µs a request.
"""

import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress

from workers import parent

TOKENS = 20
GAP_S = 0.05
"""A stream lasts a second, so a rate of streams is also the number of them at once."""
BACKLOG = 4096
RECEIVE_BYTES = 65_536
_LENGTH = b"content-length: "
_JSON = b'{"outputs": [{"name": "y", "shape": [1], "datatype": "FP32", "data": [0.5]}]}'
_PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
PLAIN = _PLAIN % (len(_JSON), _JSON)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(text: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(text), text)


def event(delta: bytes, *, more: bytes = b'"finish_reason":null') -> bytes:
    """One event of a chat stream."""
    return b'data: {"id":"c","choices":[{"index":0,"delta":{%b},%b}]}\n\n' % (delta, more)


WORD = chunk(event(b'"content":"word "'))
_USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":%d}}\n\n' % TOKENS
LAST = (
    WORD
    + chunk(event(b"", more=b'"finish_reason":"stop"'))
    + chunk(_USAGE + b"data: [DONE]\n\n")
    + b"0\r\n\r\n"
)


class Server:
    """All connections of one listening socket; `serve` never returns."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self._listener.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._open: dict[int, socket.socket] = {}
        self._early: dict[int, bytes] = {}
        # all streams have the same gap, so those due next are always at the left
        self._due: deque[tuple[float, socket.socket, int]] = deque()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def serve(self) -> None:
        """Answer until the process ends."""
        while True:
            for fd, _ in self._epoll.poll(self._wait_s(), 1024):
                if fd == self._listener.fileno():
                    self._accept()
                else:
                    self._receive(fd)
                if self._due:
                    self._speak()
            self._speak()

    def _wait_s(self) -> float:
        return max(self._due[0][0] - time.monotonic(), 0.0) if self._due else 1.0

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open[sock.fileno()] = sock
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _receive(self, fd: int) -> None:
        sock = self._open[fd]
        try:
            data = sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(fd)
            return
        if fd in self._early:
            data = self._early.pop(fd) + data
        end = data.find(b"\r\n\r\n")
        if end < 0 or len(data) < end + 4 + _body_bytes(data, end):
            self._early[fd] = data
            return
        if data.find(b"chat", 0, 64) >= 0:
            self._say(sock, HEAD)
            self._due.append((time.monotonic() + GAP_S, sock, 1))
        else:
            self._say(sock, PLAIN)

    def _speak(self) -> None:
        """Write every chunk that is due."""
        now_s = time.monotonic()
        while self._due and self._due[0][0] <= now_s:
            _, sock, number = self._due.popleft()
            self._say(sock, WORD if number < TOKENS else LAST)
            if number < TOKENS:
                self._due.append((now_s + GAP_S, sock, number + 1))

    def _say(self, sock: socket.socket, data: bytes) -> None:
        with suppress(OSError):  # it left, or reads nothing: the engine's own timeout tells
            sock.send(data)

    def _close(self, fd: int) -> None:
        self._early.pop(fd, None)
        self._epoll.unregister(fd)
        self._open.pop(fd).close()


def _body_bytes(data: bytes, end: int) -> int:
    at = data.find(_LENGTH, 0, end)
    return int(data[at + len(_LENGTH) : data.find(b"\r", at)]) if at >= 0 else 0


def main() -> int:
    """Serve until the parent ends."""
    wanted, pid = parent.asked(sys.argv[1:])
    if wanted and not parent.bind(pid):
        return 1
    server = Server()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
