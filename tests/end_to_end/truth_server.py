"""A target whose every time is known: it does what a request's `do` says and logs what it did.

Run by path as a program. Prints `listening on URL`. To `--log` go two JSON lines a request, times in ns of
CLOCK_MONOTONIC: `received` when it was read, `over` when its answer was written to the end.
"""

import argparse
import asyncio
import json
import math
import random
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TextIO

NS = 1e9
LOOK_S = 0.02
HANG_S = 60.0
"""Longer than any timeout of a test: whoever waits gives up first."""


@dataclass
class Script:
    """What the whole server does: `stalls` are (from, to) in seconds since the first request."""

    log: TextIO
    stalls: list[tuple[float, float]]
    began_ns: int = 0
    turns: Iterator[int] = field(default_factory=count)

    def note(self, line: dict[str, Any]) -> None:
        """Log a line at once."""
        self.log.write(json.dumps(line) + "\n")
        self.log.flush()

    def since_s(self) -> float:
        """Seconds since the first request; negative before it."""
        return (time.monotonic_ns() - self.began_ns) / NS if self.began_ns else -1.0

    def within_s(self, spans: list[tuple[float, float]]) -> float:
        """How long one of the spans will still last; 0 where none is on."""
        now_s = self.since_s()
        return max((end - now_s for begin, end in spans if begin <= now_s < end), default=0.0)


@dataclass
class Exchange:
    """One request, the connection it came on, and the log line that it becomes."""

    script: Script
    writer: asyncio.StreamWriter
    body: dict[str, Any]
    line: dict[str, Any] = field(default_factory=dict)

    @property
    def did_s(self) -> float:
        return float(self.body.get("ms", 0)) / 1e3

    async def until(self, after_s: float) -> None:
        """Sleep until `after_s` since the request was read, and to the end of a stall."""
        at_ns = self.line["received_ns"] + round(after_s * NS)
        await asyncio.sleep(max(at_ns - time.monotonic_ns(), 0) / NS)
        if rest_s := self.script.within_s(self.script.stalls):
            await asyncio.sleep(rest_s)

    def say(self, data: bytes) -> int:
        """Write and tell when that began: the other side may have it before the call returns."""
        began_ns = time.monotonic_ns()
        self.writer.write(data)
        return began_ns

    def answer(
        self, body: bytes, *, status: int = 200, kind: str = "application/json", more: str = ""
    ) -> None:
        head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
        self.line["done_ns"] = self.say(head.encode() + body)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def plain(x: Exchange) -> bool:
    """Answer JSON after `ms`."""
    await x.until(x.did_s)
    x.answer(b'{"fine": true}')
    return True


async def once(x: Exchange) -> bool:
    """Answer as `plain` does and close, so that each request needs a connection of its own."""
    await x.until(x.did_s)
    x.answer(b'{"fine": true}', more="connection: close\r\n")
    return False


async def drawn(x: Exchange) -> bool:
    """Answer after a time drawn from `law` around `ms`, by the request's own number."""
    pick = random.Random(x.line["index"])
    laws: dict[str, Callable[[], float]] = {
        "constant": lambda: x.did_s,
        "exponential": lambda: pick.expovariate(1 / x.did_s),
        "lognormal": lambda: pick.lognormvariate(math.log(x.did_s), 0.8),
        "bimodal": lambda: x.did_s * (10 if pick.random() < 0.1 else 1),
    }
    await x.until(laws[x.body["law"]]())
    x.answer(b'{"fine": true}')
    return True


async def turns(x: Exchange) -> bool:
    """Answer 0 and 1 in turn."""
    x.answer(str(next(x.script.turns) % 2).encode())
    return True


async def reply(x: Exchange) -> bool:
    """Answer `status` with `text` of type `kind` after `ms`."""
    await x.until(x.did_s)
    kind = x.body.get("kind", "application/json")
    x.answer(str(x.body.get("text", "")).encode(), status=int(x.body.get("status", 200)), kind=kind)
    return True


async def hang(x: Exchange) -> bool:
    """Never answer."""
    await asyncio.sleep(HANG_S)
    return False


async def drip(x: Exchange) -> bool:
    """A byte every 50 ms, so that no single read ever waits long."""
    x.say(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
    while not x.writer.transport.is_closing():
        x.say(b" ")
        await asyncio.sleep(0.05)
    return False


async def vanish(x: Exchange) -> bool:
    """Read the request and reset the connection."""
    await x.until(x.did_s)
    x.reset()
    return False


async def close(x: Exchange) -> bool:
    """Read the request and close the connection in order."""
    await x.until(x.did_s)
    return False


async def stream(x: Exchange) -> bool:
    """Chat chunks: `tokens` of them `each` a chunk, `gap_ms` apart, the first after `ms`; flags in `with`."""
    flags = set(x.body.get("with", ()))
    total, each = int(x.body.get("tokens", 8)), int(x.body.get("each", 1))
    x.say(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    x.say(event(delta={"role": "assistant", "content": ""}))
    x.line["output_ns"] = []
    for number in range(0, total, each):
        await x.until(x.did_s + float(x.body.get("gap_ms", 10)) / 1e3 * (number // each))
        word = "w " * min(each, total - number)
        name = "reasoning_content" if "reasoning" in flags and number < total // 2 else "content"
        x.line["output_ns"].append(x.say(event(delta={name: word})))
        if flags & {"early-eof", "reset", "garbage"} and number >= total // 2:
            if "reset" in flags:
                await asyncio.sleep(0.01)  # or the bytes above die with the connection
                x.reset()
            elif "garbage" in flags:
                x.line["done_ns"] = x.say(b"data: {not json\n\ndata: [DONE]\n\n")
            return False
    last = [event(finish="stop")]
    if "no-usage" not in flags:
        last.append(usage(0 if "zero-usage" in flags else total))
    if "no-done" not in flags:
        last.append(b"data: [DONE]\n\n")
    x.line["done_ns"] = x.say(b"".join(last))
    return False


def event(*, delta: dict[str, str] | None = None, finish: str | None = None) -> bytes:
    chunk = {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
    }
    return b"data: %b\n\n" % json.dumps(chunk).encode()


def usage(tokens: int) -> bytes:
    counts = {"prompt_tokens": 3 if tokens else 0, "completion_tokens": tokens}
    return b"data: %b\n\n" % json.dumps({"choices": [], "usage": counts}).encode()


async def chat(x: Exchange) -> bool:
    """A whole chat answer that says `content`."""
    await x.until(x.did_s)
    message = {"role": "assistant", "content": x.body["content"]}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    x.answer(json.dumps(body).encode())
    return True


DOES: dict[str, Callable[[Exchange], Awaitable[bool]]] = {
    one.__name__: one for one in (plain, once, drawn, turns, reply, hang, drip, vanish, close, stream, chat)
}


async def serve(script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: requests one after the other."""
    try:
        while (x := await read(script, reader, writer)) is not None:
            script.note(x.line | {"event": "received"})
            keep = await DOES[x.body.get("do", "plain")](x)
            script.note(x.line | {"event": "over"})
            if not keep:
                break
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def read(script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange | None:
    """The next request; None at the connection's end, and for what is no inference request."""
    head = await reader.readuntil(b"\r\n\r\n")
    received_ns = time.monotonic_ns()
    start, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = start.split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    text = await reader.readexactly(int(headers.get("content-length", 0)))
    if "x-shakeout-id" not in headers:
        writer.write(b"HTTP/1.1 404 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        return None
    script.began_ns = script.began_ns or received_ns
    name, index, attempt = headers["x-shakeout-id"].rsplit("/", 2)
    line = {
        "activity": name, "index": int(index), "attempt": int(attempt), "received_ns": received_ns,
        "method": method, "path": path, "headers": headers, "body": text.decode("utf-8", "replace"),
    }  # fmt: skip
    try:
        body = json.loads(text) if text else {}
    except ValueError:
        body = {}
    return Exchange(script, writer, body if isinstance(body, dict) else {}, line)


async def run(
    listener: socket.socket, script: Script, *, deaf: list[tuple[float, float]], leave_after_s: float
) -> None:
    """Accept connections, but not in the `deaf` spans of seconds since the first request.

    With `leave_after_s` nobody listens any more that long after the first request.
    """
    talks: set[asyncio.Task[None]] = set()

    def accept() -> None:
        if script.within_s(deaf):
            return
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        talk = asyncio.create_task(talk_on(connection))
        talks.add(talk)
        talk.add_done_callback(talks.discard)

    async def talk_on(connection: socket.socket) -> None:
        connection.setblocking(False)
        await serve(script, *await asyncio.open_connection(sock=connection))

    loop = asyncio.get_running_loop()
    loop.add_reader(listener, accept)
    while not leave_after_s or script.since_s() < leave_after_s:
        if rest_s := script.within_s(deaf):
            loop.remove_reader(listener)
            await asyncio.sleep(rest_s)
            loop.add_reader(listener, accept)
        await asyncio.sleep(LOOK_S)
    loop.remove_reader(listener)
    listener.close()
    print("left", flush=True)
    await asyncio.sleep(HANG_S)


def spans(texts: list[str]) -> list[tuple[float, float]]:
    """`FROM:TO`, seconds."""
    return [(float(begin), float(end)) for begin, _, end in (one.partition(":") for one in texts)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument(
        "--stall", action="append", default=[], help="FROM:TO, seconds since the first request"
    )
    parser.add_argument("--deaf", action="append", default=[], help="FROM:TO, as above: nothing is accepted")
    parser.add_argument("--leave-after", type=float, default=0.0)
    args = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1 if args.deaf else 4096)
    listener.setblocking(False)
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    with Path(args.log).open("a", encoding="utf-8") as log:
        script = Script(log, spans(args.stall))
        asyncio.run(run(listener, script, deaf=spans(args.deaf), leave_after_s=args.leave_after))


if __name__ == "__main__":
    main()
