"""CPU of a request in the engine's client and in geventhttpclient's own, against one trivial server.

`python benchmarks/bench_client.py`: small JSON answers, then streams of 64 chunks. The figure is this
process's CPU time divided by requests; the server is another process.
"""

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Callable

import gevent
from geventhttpclient import HTTPClient

from workers.engine.allow import AllowList
from workers.engine.client import Client
from workers.engine.endpoint import endpoint_of, header_block
from workers.protocols.contract import Request

SMALL = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nserver: bench\r\ncontent-length: 13\r\n\r\n"
    b'{"ok": true }'
)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
TOKEN = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":" word"}}]}\n\n'
CHUNK = b"%x\r\n%s\r\n" % (len(TOKEN), TOKEN)
TOKENS, GAP_S = 64, 0.005
BODY = b'{"messages": [{"role": "user", "content": "one two three"}], "stream": true}'


async def _serve() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
                await reader.readexactly(length)
                if b"/small" in head:
                    writer.write(SMALL)
                    continue
                writer.write(HEAD)
                for _ in range(TOKENS):
                    await asyncio.sleep(GAP_S)
                    writer.write(CHUNK)
                writer.write(b"0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _cpu_per_request_us(send: Callable[[], object], *, requests: int, users: int) -> float:
    def use(count: int) -> None:
        for _ in range(count):
            send()

    gevent.joinall([gevent.spawn(use, 2) for _ in range(users)], raise_error=True)
    gc.collect()
    before_s = time.process_time()
    gevent.joinall([gevent.spawn(use, requests // users) for _ in range(users)], raise_error=True)
    return (time.process_time() - before_s) / (requests // users * users) * 1e6


def _engine(port: int, path: str, *, stream: bool) -> Callable[[], object]:
    endpoint = endpoint_of(f"http://127.0.0.1:{port}", allow=AllowList())
    client = Client(endpoint, 30)
    block = header_block(endpoint, {"authorization": "Bearer x"})
    extra = b"x-shakeout-id: peak/1/1\r\n"
    extra += b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
    request = Request("POST", path, BODY, (("content-type", "application/json"),), stream=stream)

    def send() -> None:
        exchange = client.send(request, block + extra, authorised=lambda: True)
        if exchange.error or exchange.status != 200:
            raise RuntimeError(exchange.text)

    return send


def _library(port: int, path: str) -> Callable[[], object]:
    client = HTTPClient("127.0.0.1", port, concurrency=1000, network_timeout=30, connection_timeout=30)
    headers = {"content-type": "application/json", "authorization": "Bearer x", "x-shakeout-id": "peak/1/1"}
    headers["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    def send() -> None:
        response = client.post(path, BODY, headers)
        while response.read(16384):
            time.monotonic_ns()

    return send


def _library_by_chunk(port: int, path: str) -> Callable[[], object]:
    """As one would time tokens with it: read line by line."""
    client = HTTPClient("127.0.0.1", port, concurrency=1000, network_timeout=30, connection_timeout=30)

    def send() -> None:
        response = client.post(path, BODY, {"content-type": "application/json"})
        while response.readline(b"\n"):
            time.monotonic_ns()

    return send


def main() -> None:
    """Print one line a case, best of three."""
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        cases = {
            "small, engine's client": (_engine(port, "/small", stream=False), 10_000, 32),
            "small, geventhttpclient": (_library(port, "/small"), 10_000, 32),
            "stream of 64, engine's client": (_engine(port, "/stream", stream=True), 256, 64),
            "stream of 64, geventhttpclient by line": (_library_by_chunk(port, "/stream"), 256, 64),
        }
        for name, (send, requests, users) in cases.items():
            best_us = min(_cpu_per_request_us(send, requests=requests, users=users) for _ in range(3))
            print(f"{name:40s} {best_us:8.1f} µs CPU a request")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(_serve())
    else:
        main()
