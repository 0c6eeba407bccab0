"""OpenAI's chat completions, streamed or whole: POST url + /v1/chat/completions.

Fields of an answer: content, reasoning, finish_reason, tool_calls, status; for regression also json and text.
"""

from typing import ClassVar

import msgspec

from workers.contract.errors import ProtocolError
from workers.protocols.bodies import head_of, is_html, is_json, joined
from workers.protocols.contract import (
    NO_TIMING,
    Answer,
    Headers,
    Pieces,
    Request,
    Row,
    Timing,
    bounded,
    failed,
)
from workers.protocols.openai_body import defaults_of, encoded, header_lines, read_whole
from workers.protocols.openai_stream import outcome_of, read_stream, take_deltas
from workers.protocols.openai_wire import Message, text_of, tool_call_field, usage_of
from workers.protocols.urls import join_path, openai_paths


class ChatOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The target's keys for chat; `extra_body` is merged into each body, the row's own keys win."""

    model: str
    url: str = ""
    stream: bool = True
    extra_body: dict[str, object] = msgspec.field(default_factory=dict)


class OpenAIChat:
    """Chat completions; `for_regression` sets temperature 0 and a seed where none is, and keeps bodies."""

    Options: ClassVar[type[ChatOptions]] = ChatOptions
    works: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    readiness_paths = staticmethod(openai_paths)

    def __init__(self, options: ChatOptions, *, seed: int, for_regression: bool) -> None:
        self._stream = options.stream
        self._keep_bodies = for_regression
        self._path = join_path(options.url, "/v1/chat/completions")
        self._defaults = defaults_of(options.extra_body, seed=seed, for_regression=for_regression)
        self._model = options.model
        self._headers = header_lines(stream=options.stream)

    def build(self, row: Row) -> Request:
        """A request from a body with `messages`, or from `{"prompt": text}`, short for one user message.

        `model` and `stream` are the target's, whatever the row says. Streams ask for usage unless the row or
        `extra_body` says otherwise. Raises ProtocolError for a row with neither.
        """
        body = {**self._defaults, **row}
        if "messages" not in body:
            prompt = body.pop("prompt", None)
            if not isinstance(prompt, str):
                raise ProtocolError(_no_messages(row))
            body["messages"] = [{"role": "user", "content": prompt}]
        data = encoded(body, model=self._model, stream=self._stream)
        return Request("POST", self._path, data, self._headers, self._stream)

    def parse(self, status: int, headers: Headers, body: bytes) -> Answer:
        """Read a whole answer."""
        found = read_whole(status, headers, body, keep=self._keep_bodies)
        if isinstance(found, Answer):
            return found
        fields, chunk = found
        message = chunk.choices[0].message if chunk.choices else None
        if message is None or chunk.choices is None:
            return failed("invalid", "the body has no choices[0].message", fields)
        fields |= _message_fields(message, chunk.choices[0].finish_reason)
        output, given = usage_of(chunk.usage)
        return Answer(fields=fields, output_tokens=output, input_tokens=given, ok=True, kind="ok")

    def parse_stream(self, status: int, headers: Headers, chunks: Pieces) -> tuple[Answer, Timing]:
        """Read a streamed answer after its last byte; a server that ignored `stream` has no timing."""
        head = head_of(chunks)
        if not 200 <= status < 300 or is_html(headers, head) or is_json(headers, head):
            return self.parse(status, headers, joined(chunks)), NO_TIMING
        stream = read_stream(chunks, take_deltas)
        fields: dict[str, object] = {
            "status": status,
            "content": "".join(stream.content) or (None if stream.tool_calls else ""),
            "reasoning": "".join(stream.reasoning) or None,
            "finish_reason": stream.finish_reasons.get(0),
            "tool_calls": tool_call_field([call for _, call in sorted(stream.tool_calls.items())]),
        }
        if self._keep_bodies:
            fields["text"] = joined(chunks).decode("utf-8", "replace")
            fields["json"] = _whole_body(fields)
        output, given = usage_of(stream.usage)
        kind, why = outcome_of(stream)
        answer = Answer(fields, output, given, not why, kind, bounded(why))
        return answer, stream.timing


def _message_fields(message: Message, finish_reason: str | None) -> dict[str, object]:
    tools = tool_call_field(message.tool_calls or [])
    return {
        "content": text_of(message.content) or (None if tools else ""),
        "reasoning": message.reasoning_content or message.reasoning or None,
        "finish_reason": finish_reason,
        "tool_calls": tools,
    }


def _whole_body(fields: dict[str, object]) -> dict[str, object]:
    """A stream put together as the body that the same request would have got without streaming."""
    message = {"role": "assistant", **{key: fields[key] for key in ("content", "reasoning", "tool_calls")}}
    return {"choices": [{"index": 0, "message": message, "finish_reason": fields["finish_reason"]}]}


def _no_messages(row: Row) -> str:
    has = ", ".join(sorted(row)[:8]) or "nothing"
    return f'an openai-chat row needs "messages" (a list) or "prompt" (text); this one has: {has}'
