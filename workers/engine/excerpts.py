"""How a request or an answer began, in a few words that may leave the engine: bounded, printable, masked."""

import json
import re
from collections.abc import Iterable
from typing import Final

from workers.engine.exchange import Exchange

MOST_CHARS: Final = 300
MASK: Final = "[masked]"
TELLING: Final = 8
"""A secret of so many characters is masked wherever it stands; a shorter one would garble the rest."""
HEAD_BYTES: Final = 4096
"""What is kept of a body until its excerpt is made: room for an excerpt and for the longest secret."""
BINARY_SHARE: Final = 0.1

_USERINFO = re.compile(r"(?<=://)[^/@\s\"']+(?=@)")
_NAMED = re.compile(
    r"(?i)((?:authorization|api[-_]?key|access[-_]?token|secret|password)[\"']?\s*[:=]\s*[\"']?"
    r"(?:(?:bearer|basic)\s+)?)[^\s\"'&,;}]+"
)
_UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e\x85\xa0-\uffff\U00010000-\U0010ffff]")


class Excerpts:
    """Makes excerpts; `secrets`: values that must not be seen: of headers, and of all references."""

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Iterable[str]) -> None:
        words = {word for secret in secrets for word in (secret, *secret.split())}
        escaped = {json.dumps(word)[1:-1] for word in words}
        telling = {word for word in words | escaped if len(word) >= TELLING}
        self._secrets = sorted(telling, key=lambda word: (-len(word), word))

    def of(self, head: bytes, *, most_chars: int = MOST_CHARS) -> str:
        """An excerpt of what a body began with; a body that is no text is told by its size alone."""
        head = head[: max(HEAD_BYTES, 4 * most_chars)]
        text = head.decode("utf-8", "replace").removesuffix("\ufffd")
        odd = len(_UNPRINTABLE.findall(text)) + text.count("\ufffd")
        if odd > BINARY_SHARE * len(text):
            size = f"over {HEAD_BYTES}" if len(head) >= HEAD_BYTES else str(len(head))
            return f"({size} bytes, not text)"
        return self.masked(_UNPRINTABLE.sub("\ufffd", text))[:most_chars]

    def masked(self, text: str) -> str:
        """The text without secrets, also without one that is cut off by its end."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
            text = _without_start(text, secret)
        text = _USERINFO.sub(MASK, text)
        return _NAMED.sub(rf"\1{MASK}", text)


def _without_start(text: str, secret: str) -> str:
    """The text less a first part of the secret at its end."""
    for length in range(min(len(secret) - 1, len(text)), TELLING - 1, -1):
        if text.endswith(secret[:length]):
            return text[:-length] + MASK
    return text


def answer_head(exchange: Exchange) -> bytes:
    """The first bytes of an answer's body, streamed or whole."""
    if exchange.body:
        return bytes(exchange.body[:HEAD_BYTES])
    found: list[bytes] = []
    size = 0
    for _, piece in exchange.pieces:
        found.append(piece)
        size += len(piece)
        if size >= HEAD_BYTES:
            break
    return b"".join(found)[:HEAD_BYTES]
