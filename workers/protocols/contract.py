"""What every protocol owes the engine: types of a request, an answer and its timing.

A protocol is pure: it sees rows and stamped bytes, never a socket. Times are nanoseconds of CLOCK_MONOTONIC,
taken when the bytes reached the socket layer.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import msgspec

Row = Mapping[str, object]
"""One row's request, as read from the data file or made up by the synthetic source."""

Headers = Sequence[tuple[str, str]]
"""Header names and values as received, in order; names in any case."""

Pieces = Sequence[tuple[int, bytes]]
"""(ns when the bytes reached the socket layer, bytes of the body without transfer coding), in order."""

MAX_WHY = 300
"""Characters of a reason: enough for a server's message, bounded because reasons travel in facts."""


class Request(msgspec.Struct, frozen=True):
    """What the engine sends. `path` begins with / and holds the URL's own path and query.

    `results`: how many results its answer must hold at least (embeddings, predictions, outputs asked for);
    None where that is not known. `ends_with_http`: its stream has no end mark of its own, so that only the
    orderly end of the HTTP body makes it complete.
    """

    method: str
    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...]
    stream: bool
    results: int | None = None
    ends_with_http: bool = False


class Answer(msgspec.Struct, frozen=True):
    """What came back, read.

    `fields` are those that a golden set may expect. `output_tokens` and `input_tokens` are the server's own
    count, None where it gave none (or all zeros). `kind` is METRICS.md's outcome as far as the bytes tell it:
    ok, incomplete, invalid, or `http_404`. `why` is empty where ok. `results`: how many results it holds,
    None where that is not counted.
    """

    fields: dict[str, object]
    output_tokens: int | None
    input_tokens: int | None
    ok: bool
    kind: str
    why: str = ""
    results: int | None = None


class Timing(msgspec.Struct, frozen=True):
    """Times of a stream: of each chunk with non-empty output, and of the first that is not reasoning."""

    output_times_ns: tuple[int, ...] = ()
    first_non_reasoning_ns: int | None = None


NO_TIMING = Timing()


class TargetProtocol(Protocol):
    """An instance serves one activity; `Options` are the target's keys that matter to it."""

    Options: ClassVar[type[Any]]
    works: ClassVar[bool]
    needs_model: ClassVar[bool]
    streams: ClassVar[bool]

    @staticmethod
    def readiness_paths(options: Any) -> tuple[str, ...]:
        """Where to ask, in order, whether a target with these options is ready; none makes it infer."""

    def build(self, row: Row) -> Request:
        """Turn a row into a request. Raises ProtocolError where the row does not fit."""

    def parse(self, status: int, headers: Headers, body: bytes) -> Answer:
        """Read a whole answer; never raises for what a target sent."""

    def parse_stream(self, status: int, headers: Headers, chunks: Pieces) -> tuple[Answer, Timing]:
        """Read a streamed answer after its last byte; never raises for what a target sent."""


def settled(answer: Answer, request: Request, *, truncated: bool) -> Answer:
    """The answer as its request has it: with fewer results than asked for it is invalid.

    More are no fault: mlserver sends all outputs of a model whichever were asked for.

    `truncated`: the connection ended in order before the stream's HTTP end, which leaves a stream incomplete
    that has no other end.
    """
    if not answer.ok:
        return answer
    if truncated and request.ends_with_http:
        return failed("incomplete", "the connection ended before the stream did", answer.fields)
    if request.results is not None and (answer.results or 0) < request.results:
        why = f"{request.results} results were asked for, {answer.results or 0} came"
        return failed("invalid", why, answer.fields)
    return answer


def bounded(text: str, *, limit: int = MAX_WHY) -> str:
    """Cut a reason to `limit` characters, on one line."""
    line = " ".join(text[: 4 * limit].split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def failed(kind: str, why: str, fields: dict[str, object]) -> Answer:
    """An answer that is not ok; `why` is cut to MAX_WHY."""
    return Answer(fields=fields, output_tokens=None, input_tokens=None, ok=False, kind=kind, why=bounded(why))
