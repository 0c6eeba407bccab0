"""Memory of one engine over millions of failed requests, each with one of 10,000 different error texts.

`python benchmarks/bench_memory.py [SECONDS]`: saturates a server that only fails, and prints the resident
memory of the engine once it is warm, at its highest and at its end. 700 s are about 7 million requests.
"""

import asyncio
import select
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import psutil
from engine_runner import Figures, run_engine
from results import save

TEXTS = 10_000
WHOLE = 7_000_000
"""Requests from which on the figures are kept."""
USERS = 32
WARM_S = 5.0
"""From the first request on: the first snapshots, sketches and users are made within it."""
MIB = 2**20


class _Failing(asyncio.Protocol):
    """Answers each request (they come one at a time) with status 500 and the next text."""

    answers = tuple(
        b"HTTP/1.1 500 Broken\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
        % (len(body), body)
        for body in (b'{"error": {"message": "replica %05d is out of memory"}}' % n for n in range(TEXTS))
    )
    following = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        if not self.following:
            print("asked", flush=True)
        if data.endswith(b"}"):
            self._transport.write(self.answers[_Failing.following % TEXTS])
            _Failing.following += 1


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Failing, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of the engine in bytes, and the requests that it went through."""

    warm_bytes: int
    highest_bytes: int
    last_bytes: int
    figures: Figures


def measure(duration_s: float) -> Memory:
    """Load the failing server for so long and look at the engine's memory four times a second."""
    argv = [sys.executable, __file__, "serve"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        found: list[Figures] = []
        runs = threading.Thread(
            target=lambda: found.append(run_engine(url, users=USERS, duration_s=duration_s, timeout_s=5.0))
        )
        runs.start()
        while runs.is_alive() and not select.select([server.stdout], [], [], 0.25)[0]:
            pass  # the engine is not ready yet
        seen = _looks(runs, server.pid)
        runs.join()
        server.terminate()
    return Memory(seen[0], max(seen), seen[-1], found[0])


def _looks(runs: threading.Thread, server: int) -> list[int]:
    seen: list[int] = []
    warm_at_s = time.monotonic() + WARM_S
    while runs.is_alive():
        time.sleep(0.25)
        engines = [one for one in psutil.Process().children() if one.pid != server]
        try:
            seen += [one.memory_info().rss for one in engines if time.monotonic() > warm_at_s]
        except psutil.NoSuchProcess:
            break
    return [one for one in seen if one]


def main() -> None:
    """Print one line of figures."""
    duration_s = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    memory = measure(duration_s)
    growth_bytes = memory.highest_bytes - memory.warm_bytes
    print(
        f"{memory.figures.requests:,} requests, {TEXTS:,} error texts: "
        f"{memory.warm_bytes / MIB:.1f} MiB warm, {memory.highest_bytes / MIB:.1f} at most, "
        f"{memory.last_bytes / MIB:.1f} at the end; growth {growth_bytes / MIB:.1f} MiB"
    )
    if memory.figures.requests >= WHOLE:
        cases = {"requests": memory.figures.requests, "growth_mib": growth_bytes / MIB}
        print(save("memory", cases, settings={"texts": TEXTS, "seconds": duration_s}, versions={}))


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(_serve())
    else:
        main()
