"""OpenAI's embeddings: POST url + /v1/embeddings; never streamed.

Fields of an answer: status; for regression also embedding (the numbers of one input; of several inputs a list
of lists, in the order of the inputs), json and text. Numbers are read for regression alone: a load counts
embeddings and looks that none is empty or holds null, since reading 1,536 of them takes longer than all else.
"""

import base64
import binascii
import struct
from typing import ClassVar

import msgspec

from workers.contract.errors import ProtocolError
from workers.protocols.bodies import base_fields, http_failure, is_html, joined
from workers.protocols.contract import NO_TIMING, Answer, Headers, Pieces, Request, Row, Timing, failed
from workers.protocols.openai_body import header_lines
from workers.protocols.openai_wire import Usage, error_message, usage_of
from workers.protocols.urls import join_path, openai_paths

FLOAT_BYTES = 4
"""`encoding_format: base64` packs little-endian float32."""


class EmbeddingOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The target's keys for embeddings; `extra_body` is merged into each body, the row's own keys win."""

    model: str
    url: str = ""
    extra_body: dict[str, object] = msgspec.field(default_factory=dict)


class Item(msgspec.Struct):
    """One embedding, its numbers not read yet, and the place of its input."""

    embedding: msgspec.Raw = msgspec.Raw(b"null")
    index: int | None = None


class Body(msgspec.Struct):
    """The parts of an answer that are read."""

    data: list[Item] | None = None
    usage: Usage | None = None
    error: object = None


_read = msgspec.json.Decoder(Body).decode


class OpenAIEmbeddings:
    """Embeddings: POST url + /v1/embeddings, one embedding for each input or the answer is invalid."""

    Options: ClassVar[type[EmbeddingOptions]] = EmbeddingOptions
    works: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True
    streams: ClassVar[bool] = False
    readiness_paths = staticmethod(openai_paths)

    def __init__(self, options: EmbeddingOptions, *, seed: int, for_regression: bool) -> None:  # noqa: ARG002  # all kinds alike
        self._keep_bodies = for_regression
        self._path = join_path(options.url, "/v1/embeddings")
        self._defaults = options.extra_body
        self._model = options.model
        self._headers = header_lines(stream=False)

    def build(self, row: Row) -> Request:
        """A request from a body with `input`, or from `{"prompt": text}`, short for one text.

        With the short form goes `max_tokens`, which made-up rows have and embeddings do not. Raises
        ProtocolError for a row without an input, or with an empty one.
        """
        body = {**self._defaults, **row}
        if "input" not in body and isinstance(body.get("prompt"), str):
            body["input"] = body.pop("prompt")
            body.pop("max_tokens", None)
        given = body.get("input")
        if not isinstance(given, str | list) or not given:
            raise ProtocolError(_no_input(row))
        body["model"] = self._model
        several = isinstance(given, list) and not isinstance(given[0], int)
        results = len(given) if several else 1
        data = msgspec.json.encode(body)
        return Request("POST", self._path, data, self._headers, stream=False, results=results)

    def parse(self, status: int, headers: Headers, body: bytes) -> Answer:
        """Read an answer: every embedding there, in place and not empty."""
        if not 200 <= status < 300:
            return http_failure(status, body, keep=self._keep_bodies, headers=headers)
        fields = base_fields(status, body, keep=self._keep_bodies)
        if is_html(headers, body):
            return failed("invalid", "answered HTML, not JSON", fields)
        try:
            found = _read(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return failed("invalid", f"the body is no answer with embeddings: {error}", fields)
        if found.error is not None:
            why = f"status {status} with an error inside: {error_message(found.error)}"
            return failed("invalid", why, fields)
        items = sorted(found.data or (), key=lambda item: item.index or 0)
        problem = _problem(items)
        if problem:
            return failed("invalid", problem, fields)
        if self._keep_bodies:
            try:
                vectors = [_numbers(item.embedding) for item in items]
            except ValueError as error:
                return failed("invalid", str(error), fields)
            fields["embedding"] = vectors[0] if len(vectors) == 1 else vectors
        _, given = usage_of(found.usage)
        return Answer(fields, None, given, ok=True, kind="ok", results=len(items))

    def parse_stream(self, status: int, headers: Headers, chunks: Pieces) -> tuple[Answer, Timing]:
        """Read the pieces as one body; there is no timing inside it."""
        return self.parse(status, headers, joined(chunks)), NO_TIMING


def _problem(items: list[Item]) -> str:
    """Why these are not the embeddings of inputs 0, 1, 2, ...; empty where they are."""
    if not items:
        return "the body has no data[0].embedding"
    places = [item.index for item in items]
    if any(place is not None for place in places) and places != list(range(len(items))):
        return f"the embeddings are of inputs {places[:8]}, not 0 to {len(items) - 1}"
    for place, item in enumerate(items):
        raw = bytes(item.embedding)
        if raw[:1] not in {b"[", b'"'} or not raw[1:-1].strip():
            return f"data[{place}].embedding is {raw[:40].decode('utf-8', 'replace')}, not numbers"
        if raw[:1] == b"[" and b"null" in raw:
            return f"data[{place}].embedding holds null"
    return ""


def _numbers(raw: msgspec.Raw) -> list[float]:
    """An embedding's numbers, from a list or from base64. Raises ValueError where there are none."""
    try:
        value = msgspec.json.decode(raw, type=list[float] | str)
        if isinstance(value, list):
            return value
        packed = base64.b64decode(value, validate=True)
        return list(struct.unpack(f"<{len(packed) // FLOAT_BYTES}f", packed))
    except (msgspec.DecodeError, binascii.Error, struct.error) as error:
        raise ValueError(f"an embedding cannot be read: {error}") from error


def _no_input(row: Row) -> str:
    has = ", ".join(sorted(row)[:8]) or "nothing"
    return (
        'an openai-embeddings row needs "input" (a text, or a list that is not empty) or "prompt" (text); '
        f"this one has: {has}"
    )
