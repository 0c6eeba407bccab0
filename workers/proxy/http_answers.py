"""Answers over HTTP that the upstream never gave: a status, an empty one, a changed one."""

import random
import zlib
from http import HTTPStatus
from typing import Final

import msgspec

from workers.chaos.network.proxy_wire import Effect
from workers.proxy.http_reader import HttpReader
from workers.proxy.part import Head, StrangeError
from workers.proxy.wrong_values import wrong

EMPTY: Final = "{}"
_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}
_LENGTHS: Final = frozenset({"content-length", "transfer-encoding", "content-encoding", "trailer"})


def made(effect: Effect, head: Head) -> bytes:
    """The whole answer to a request: the effect's status and body; or 200 with an empty one."""
    status = effect.status or 200
    body = (effect.body or (EMPTY if effect.answer == "empty" else "")).encode()
    phrase = _PHRASES.get(status, "Status")
    kind = "application/json" if body[:1] in (b"{", b"[") else "text/plain; charset=utf-8"
    lines = [f"HTTP/1.1 {status} {phrase}"]
    if status not in (204, 304):
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += ["Connection: close"] if head.last else []
    said = "\r\n".join([*lines, "", ""]).encode()
    return said if head.method == "HEAD" or status in (204, 304) else said + body


def ends_connection(whole: bytes) -> bool:
    """Whether whoever is given this answer waits for, or has been told of, the connection's end after it."""
    parts = list(HttpReader(lambda: False).feed(whole))
    head = parts[0].head if parts else None
    return head is not None and (head.last or not (parts[-1].ends or "content-length" in head.fields))


def altered(whole: bytes, dice: random.Random) -> bytes:
    """The answer with every value of its JSON changed; as it was where there is no JSON in it."""
    try:
        parts = list(HttpReader(lambda: False).feed(whole))
        head = parts[0].head if parts else None
        if head is None or (not parts[-1].ends and "content-length" in head.fields):
            return whole
        body = _plain(b"".join(part.data for part in parts[1:]), head)
        value = msgspec.json.decode(body)
    except (StrangeError, msgspec.MsgspecError, zlib.error, ValueError):
        return whole
    changed = msgspec.json.encode(wrong(value, dice))
    lines = [line for line in head.key.split(b"\r\n") if line]
    kept = [
        line for line in lines if line.partition(b":")[0].strip().lower().decode("latin-1") not in _LENGTHS
    ]
    return b"\r\n".join([*kept, b"Content-Length: %d" % len(changed), b"", changed])


def _plain(body: bytes, head: Head) -> bytes:
    """The body as it was before it was sent in chunks, and packed."""
    if "chunked" in head.fields.get("transfer-encoding", "").lower():
        body = _joined(body)
    packed = head.fields.get("content-encoding", "").lower()
    if packed in ("gzip", "deflate"):
        return zlib.decompress(body, zlib.MAX_WBITS | 32)
    return body


def _joined(body: bytes) -> bytes:
    found, place = b"", 0
    while True:
        end = body.index(b"\n", place)
        size = int(body[place:end].partition(b";")[0].strip(), 16)
        if not size:
            return found
        found += body[end + 1 : end + 1 + size]
        place = body.index(b"\n", end + 1 + size) + 1
