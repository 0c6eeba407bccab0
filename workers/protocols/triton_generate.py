"""Triton's generate extension: POST url + /v2/models/MODEL[/versions/V]/generate_stream, or generate.

Fields of an answer: content (the text of all events, in order), text_output (the same, by Triton's name),
finish_reason where the model tells it, status; for regression also json and text (the body).
"""

from typing import Any, ClassVar

import msgspec

from workers.contract.errors import ProtocolError
from workers.protocols.bodies import base_fields, head_of, http_failure, is_html, is_json, joined
from workers.protocols.contract import (
    NO_TIMING,
    Answer,
    Headers,
    Pieces,
    Request,
    Row,
    Timing,
    failed,
)
from workers.protocols.openai_body import header_lines
from workers.protocols.openai_wire import error_message
from workers.protocols.sse import events
from workers.protocols.urls import join_path, model_path, v2_paths


class GenerateOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The target's keys; `stream: false` asks `generate`, which gives one answer."""

    model: str
    url: str = ""
    version: str = ""
    stream: bool = True


class Event(msgspec.Struct):
    """The parts of an event, or of a whole answer, that are read."""

    text_output: str | list[str] | None = None
    finish_reason: object = None
    num_output_tokens: object = None
    num_input_tokens: object = None
    error: object = None


_read = msgspec.json.Decoder(Event).decode
_NO_REASON = (None, "", "null", "None")
"""What vLLM's backend says of an answer that goes on: its own None as text."""


class TritonGenerate:
    """Triton's generate extension, streamed or whole.

    Its streams have no end mark, so the orderly end of the HTTP body is the answer's.
    """

    Options: ClassVar[type[GenerateOptions]] = GenerateOptions
    works: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    readiness_paths = staticmethod(v2_paths)

    def __init__(self, options: GenerateOptions, *, seed: int, for_regression: bool) -> None:  # noqa: ARG002  # all kinds alike
        tail = "generate_stream" if options.stream else "generate"
        self._path = join_path(options.url, f"/v2{model_path(options.model, options.version)}/{tail}")
        self._stream = options.stream
        self._keep = for_regression
        self._headers = header_lines(stream=options.stream)

    def build(self, row: Row) -> Request:
        """A request from a body with `text_input`, or from `{"prompt": text}`, short for it.

        The model is told whether to stream, as those of vLLM and TensorRT-LLM want it, unless the row says so
        itself, beside `text_input` or among its `parameters`. Raises ProtocolError for a row with neither.
        """
        body = dict(row)
        if "text_input" not in body and isinstance(body.get("prompt"), str):
            body["text_input"] = body.pop("prompt")
        if not isinstance(body.get("text_input"), str | list):
            raise ProtocolError(_no_text(row))
        parameters = body.get("parameters")
        if not isinstance(parameters, dict) or "stream" not in parameters:
            body.setdefault("stream", self._stream)
        data = msgspec.json.encode(body)
        return Request("POST", self._path, data, self._headers, self._stream, ends_with_http=self._stream)

    def parse(self, status: int, headers: Headers, body: bytes) -> Answer:
        """Read a whole answer."""
        if not 200 <= status < 300:
            return http_failure(status, body, keep=self._keep, headers=headers)
        fields = base_fields(status, body, keep=self._keep)
        if is_html(headers, body):
            return failed("invalid", "answered HTML, not JSON", fields)
        try:
            event = _read(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return failed("invalid", f"the body is no answer of generate: {error}", fields)
        if event.error is not None:
            why = f"status {status} with an error inside: {error_message(event.error)}"
            return failed("invalid", why, fields)
        if event.text_output is None:
            return failed("invalid", "the body has no text_output", fields)
        return _answer([event], fields)

    def parse_stream(self, status: int, headers: Headers, chunks: Pieces) -> tuple[Answer, Timing]:
        """Read a streamed answer after its last byte; a server that answers with plain JSON has no timing."""
        head = head_of(chunks)
        if not 200 <= status < 300 or is_html(headers, head) or is_json(headers, head):
            return self.parse(status, headers, joined(chunks)), NO_TIMING
        read, times_ns, problem = _read_events(chunks)
        timing = Timing(tuple(times_ns), times_ns[0] if times_ns else None)
        fields = {**base_fields(status, joined(chunks) if self._keep else b"", keep=self._keep)}
        if self._keep:
            fields["json"] = {"text_output": _text(read)}
        answer = _answer(read, fields)
        return (failed("invalid", problem, answer.fields) if problem else answer), timing


def _read_events(chunks: Pieces) -> tuple[list[Event], list[int], str]:
    """Events up to the first that is wrong, the times of those with text, and what is wrong."""
    read: list[Event] = []
    times_ns: list[int] = []
    for number, (at_ns, data, _) in enumerate(events(chunks), start=1):
        try:
            event = _read(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            text = data[:80].decode("utf-8", "replace")
            return read, times_ns, f"event {number} of the stream is no answer ({error}): {text}"
        if event.error is not None:
            return read, times_ns, error_message(event.error)
        read.append(event)
        if event.text_output:
            times_ns.append(at_ns)
    if not any(event.text_output is not None for event in read):
        return read, times_ns, "the stream held no text_output"
    return read, times_ns, ""


def _answer(read: list[Event], fields: dict[str, object]) -> Answer:
    """The events as one answer; tokens are counted only by models that tell them."""
    text = _text(read)
    reasons = [event.finish_reason for event in read if event.finish_reason not in _NO_REASON]
    fields |= {"content": text, "text_output": text, "finish_reason": reasons[-1] if reasons else None}
    # Of each event: the tokens since the one before it (vLLM backend, additional outputs).
    output = sum(_number(event.num_output_tokens) for event in read)
    given = max((_number(event.num_input_tokens) for event in read), default=0)
    return Answer(fields, output or None, given or None, ok=True, kind="ok")


def _text(read: list[Event]) -> str:
    parts = (event.text_output for event in read)
    return "".join(part if isinstance(part, str) else "".join(part or ()) for part in parts)


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _no_text(row: Row) -> str:
    has = ", ".join(sorted(row)[:8]) or "nothing"
    return f'a triton-generate row needs "text_input" or "prompt" (text); this one has: {has}'
