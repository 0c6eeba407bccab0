"""`python -m workers.proxy FOLDER`: one proxy, in a session of its own, so that it outlives its worker.

What it is to be stands in a file there, not on its command line, which faults may be looking for.

It says READY once it listens, else why it does not, and ends when a worker says so, when no worker has kept
it for long, when its folder is gone, or with the process that it was told to end with. Whatever it holds then
ends with it.
"""

import asyncio
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from workers.chaos.contract import ProcessId
from workers.chaos.network.proxy_wire import CARD, CONTROL, MOST_LINE_BYTES, Command, Speech, Standing
from workers.chaos.processes import boot_s, is_alive, look
from workers.contract.addresses import is_loopback
from workers.contract.errors import TargetRefusedError
from workers.engine.allow import parse_allow_list
from workers.proxy.listener import MOST_CONNECTIONS, Proxy, listen_on
from workers.proxy.upstream import Upstream, refused

READY = b"ready\n"
ORDER = "order.json"
"""File of its `ProxyOrder`, in its folder."""
_LOOKS_EVERY_S = 0.5
_PER_CONNECTION = 2  # file descriptors


class ProxyOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a proxy is to be; `keep_s`: how long it stands without a word from a worker.

    `allow_targets` as engines have them. `trusted`: the worker's operator asked for it. `ends_with`: a
    process without which it is not to stand.
    """

    bind: str
    port: int
    upstream: str
    allow_targets: tuple[str, ...] = ()
    trusted: bool = False
    worker: str = ""
    keep_s: float = 600.0
    speaks: Speech = ""
    ends_with: ProcessId | None = None


def main() -> int:
    """Stand until told to end; 0 then, 1 where it could not."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    folder = Path(sys.argv[1])
    order = msgspec.json.decode((folder / ORDER).read_bytes(), type=ProxyOrder)
    _allow_descriptors()
    return asyncio.run(_stand(order, folder))


async def _stand(order: ProxyOrder, folder: Path) -> int:
    try:
        here = order.trusted or is_loopback(order.bind)
        upstream = Upstream(order.upstream, parse_allow_list(order.allow_targets), loopback=here)
        why = await refused(upstream)
        if why:
            return _say(why)
        listening = listen_on(order.bind, order.port)
    except TargetRefusedError as error:
        return _say(str(error))
    except OSError as error:
        return _say(f"cannot listen on {order.bind} port {order.port}: {error.strerror or error}")
    me = look(os.getpid())
    assert me is not None  # noqa: S101  # a process can always see itself
    standing = Standing(
        who=me.identity(),
        bind=order.bind,
        port=listening.getsockname()[1],
        upstream=order.upstream,
        worker=order.worker,
        speaks=order.speaks,
    )
    proxy = Proxy(listening, upstream=upstream, me=standing, keep_s=order.keep_s)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, proxy.over.set)
    proxy.open()
    control = await _answer(folder, proxy)
    _say_ready(folder, standing)
    await _until_over(proxy, order, folder)
    control.close()
    await proxy.close()
    _clean_up(folder)
    return 0


def _clean_up(folder: Path) -> None:
    for name in (CONTROL, CARD, ORDER):
        with suppress(OSError):
            (folder / name).unlink()
    with suppress(OSError):
        folder.rmdir()


async def _until_over(proxy: Proxy, order: ProxyOrder, folder: Path) -> None:
    """Wait for the first reason to end; without its folder nobody could ever speak to it again."""
    mine = _inode(folder)
    while not proxy.over.is_set() and boot_s() < proxy.until_s:
        if order.ends_with is not None and not is_alive(order.ends_with):
            return
        if not mine or _inode(folder) != mine:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOKS_EVERY_S):
                await proxy.over.wait()


async def _answer(folder: Path, proxy: Proxy) -> asyncio.AbstractServer:
    """Listen to commands in the folder; its path may be too long for the address of a socket."""

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                command: Command = msgspec.json.decode(line, type=Command)
                standing = await proxy.obey(command)
                writer.write(msgspec.json.encode(standing) + b"\n")
                await writer.drain()
        except (OSError, ValueError, msgspec.MsgspecError):  # gone, or nobody that we know
            pass
        finally:
            writer.close()

    with suppress(FileNotFoundError):
        (folder / CONTROL).unlink()
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    before = os.umask(0o177)
    try:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.bind(f"/proc/self/fd/{here}/{CONTROL}")
    finally:
        os.umask(before)
        os.close(here)
    return await asyncio.start_unix_server(hear, sock=line, limit=MOST_LINE_BYTES)


def _inode(folder: Path) -> int:
    try:
        return (folder / CONTROL).stat().st_ino
    except OSError:
        return 0


def _say(words: str) -> int:
    with suppress(OSError):
        os.write(1, words.encode())
    return 1


def _say_ready(folder: Path, standing: Standing) -> None:
    (folder / CARD).write_bytes(msgspec.json.encode(standing))
    _say(READY.decode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _allow_descriptors() -> None:
    """As many file descriptors as its connections need, where the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _PER_CONNECTION * MOST_CONNECTIONS + 64
    if soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard) if hard > 0 else wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
