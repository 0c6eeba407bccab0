"""Samples of faults done by clients: against a target that keeps count of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sample_bench import Bench, Sample

from workers.chaos.aim import Aim

_TARGET = """
import asyncio
HEAD = b"HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\nconnection: close\\r\\n\\r\\n"
TOKEN = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\\n\\n'
async def talk(reader, writer):
    try:
        await reader.readuntil(b"\\r\\n\\r\\n")
        writer.write(HEAD)
        for _ in range(100):
            writer.write(TOKEN)
            await writer.drain()
            await asyncio.sleep(0.02)
    except (OSError, EOFError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()
async def main():
    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def clients(options: dict[str, Any], *, rows: str = "") -> Callable[[Bench], Sample]:
    """Traffic on a target that talks for two seconds: felt while connections are open, left where any is."""

    def make(bench: Bench) -> Sample:
        port = int(bench.orphan(_TARGET).words)
        url = f"http://127.0.0.1:{port}"
        aim = Aim(name="chat", protocol="openai-chat", url=url, options={"url": url, "model": "m"})
        more = {}
        if rows:
            path = bench.folder / "rows.jsonl"
            path.write_text(rows + "\n")
            more = {"rows": str(path)}
            aim = Aim(name="ranker", protocol="json-http", url=url, options={"url": url})
        return Sample(
            felt=lambda: _connected(port) > 0,
            left=lambda: f"{open_} connections to port {port}" if (open_ := _connected(port)) else "",
            options={**options, **more},
            order={"aim": aim},
        )

    return make


def _connected(port: int) -> int:
    """How many connections to a port of 127.0.0.1 are established, as the kernel shows their near ends."""
    peer = f" 0100007F:{port:04X} 01 "
    return sum(peer in line for line in Path("/proc/net/tcp").read_text().splitlines())
