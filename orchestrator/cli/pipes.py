"""Output that nobody may be reading: `run | head` ends with the verdict's exit code, not a broken pipe's."""

import os
import sys
from pathlib import Path
from typing import Any, TextIO, cast


def outlast_readers() -> None:
    """Let stdout and stderr go on into nothing once their readers have left, or where there are none.

    Without it the first line too many would end a campaign half-way, with the exit code of a failed one.
    Other errors, such as a full disk, are raised as ever.
    """
    sys.stdout = _outlasting(sys.stdout)
    sys.stderr = _outlasting(sys.stderr)


def _outlasting(stream: TextIO | None) -> TextIO:
    if stream is None:  # the descriptor was closed before we started
        return Path(os.devnull).open("w", encoding="utf-8")
    return cast("TextIO", _Outlasting(stream))


class _Outlasting:
    """A text stream without broken pipes; all but writing is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._discard()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._discard()

    def _discard(self) -> None:
        """Put the null device in the pipe's place; what is still buffered goes there too."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
