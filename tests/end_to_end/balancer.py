"""A small balancer of the tests: each new connection goes to the next of its servers, however that one is.

Run by path as a program with the ports of the servers. Prints `listening on URL`.
"""

import asyncio
import sys
from contextlib import suppress
from itertools import cycle


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _serve(ports: list[int]) -> None:
    turn = cycle(ports)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream, to_upstream = await asyncio.open_connection("127.0.0.1", next(turn))
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(_pass(reader, to_upstream), _pass(upstream, writer))
        for side in (writer, to_upstream):
            side.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve([int(port) for port in sys.argv[1:]]))
