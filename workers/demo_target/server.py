"""The demo target's life: listen, say so, serve until told to stop, stop within a second."""

import asyncio
import contextlib
import gc
import resource
import signal
import sys
import traceback
from typing import Any

from workers.demo_target import exact
from workers.demo_target.connection import Connection
from workers.demo_target.errors import DemoTargetError
from workers.demo_target.settings import Settings
from workers.demo_target.target import Target
from workers.demo_target.truth import TruthLog

BACKLOG = 4096  # connections not yet accepted: a pool of users may open all at once
STOP_S = 1.0  # what is being answered gets this long once told to stop
SWEEP_S = 30.0
QUIET_S = 600.0  # a connection on which nothing moved for so long is closed


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; exit code 0, or 1 with a line on stderr where it could not."""
    try:
        with asyncio.Runner(loop_factory=exact.new_loop) as runner:
            return runner.run(_run(settings))
    except DemoTargetError as error:
        sys.stderr.write(f"demo-target: {error}\n")
        return 1


async def _run(settings: Settings) -> int:
    loop = asyncio.get_running_loop()
    _raise_descriptor_limit()
    target = Target(settings, TruthLog(settings.log) if settings.log else None)
    connections: set[Connection] = set()
    server = await _listen(settings, target, connections)
    stop: asyncio.Future[int] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _settle, stop, 0)
    loop.set_exception_handler(lambda _, context: _fail(stop, context))
    sweeper = asyncio.create_task(_sweep(connections))
    gc.freeze()  # what is loaded now lives for ever: no pause to look at it again
    sys.stdout.write(f"listening on {_url(server)}\n")
    sys.stdout.flush()
    code = await stop
    sweeper.cancel()
    server.close()
    await _drain(target, connections, patience_s=STOP_S if code == 0 else 0)
    return code


async def _listen(settings: Settings, target: Target, connections: set[Connection]) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(
            lambda: Connection(target, connections), settings.host, settings.port, backlog=BACKLOG
        )
    except OSError as error:
        raise DemoTargetError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; "
            "choose another --port (0 takes a free one) or stop what listens there"
        ) from error


def _url(server: asyncio.Server) -> str:
    host, port = server.sockets[0].getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _drain(target: Target, connections: set[Connection], *, patience_s: float) -> None:
    """Close idle connections, let the others finish for a moment, then close them too."""
    target.stopping = True
    for connection in [each for each in connections if each.idle]:
        connection.close()
    if target.active:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(target.drained.wait(), patience_s)
    for connection in list(connections):
        connection.abort()
    await asyncio.sleep(0)  # the sockets' last callbacks write the log's last lines
    await asyncio.sleep(0)


async def _sweep(connections: set[Connection]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_S)
        for connection in list(connections):
            if connection.idle and loop.time() - connection.touched_s > QUIET_S:
                connection.abort()


def _settle(stop: asyncio.Future[int], code: int) -> None:
    if not stop.done():
        stop.set_result(code)


def _fail(stop: asyncio.Future[int], context: dict[str, Any]) -> None:
    """A callback raised: an OSError is the network's and passes, all else ends the process."""
    error = context.get("exception")
    if isinstance(error, DemoTargetError | OSError):
        sys.stderr.write(f"demo-target: {error}\n")
    else:
        sys.stderr.write(f"demo-target: {context.get('message')}\n")
        traceback.print_exception(error)
    if not isinstance(error, OSError):
        _settle(stop, 1)


def _raise_descriptor_limit() -> None:
    """Allow as many connections as the system lets this process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
