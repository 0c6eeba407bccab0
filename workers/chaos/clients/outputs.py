"""Output in a streamed answer, counted while it comes: what a client goes by that leaves in the middle."""

from contextlib import suppress

import msgspec

from workers.chaos.clients.connection import BrokenAnswerError
from workers.protocols.openai_wire import Chunk, decoder, text_of
from workers.protocols.sse import DONE

MOST_EVENT_BYTES = 4 * 1024 * 1024
"""What ends no event within this is no stream of tokens."""


class _Generated(msgspec.Struct):
    text_output: str | None = None


_read_generated = msgspec.json.Decoder(_Generated).decode


class Outputs:
    """Events with output that have come so far; `ended`: the stream's end mark too."""

    def __init__(self) -> None:
        self.count = 0
        self.ended = False
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Take what came. Raises BrokenAnswerError for an event without end."""
        *whole, self._rest = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n\n")
        if len(self._rest) > MOST_EVENT_BYTES:
            raise BrokenAnswerError(f"an event of more than {MOST_EVENT_BYTES} bytes")
        for block in whole:
            for line in block.split(b"\n"):
                if line.startswith(b"data:"):
                    self._take(line[5:].strip())

    def _take(self, data: bytes) -> None:
        if data == DONE:
            self.ended = True
            return
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.count += _has_output(decoder.decode(data)) or bool(_read_generated(data).text_output)


def _has_output(chunk: Chunk) -> bool:
    for choice in chunk.choices or ():
        delta = choice.delta
        if choice.text or (delta and (text_of(delta.content) or delta.reasoning_content or delta.reasoning)):
            return True
    return False
