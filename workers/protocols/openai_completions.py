"""OpenAI's completions, streamed or whole: POST url + /v1/completions.

Fields of an answer: content (the text), finish_reason, status; for regression also json and text (the body).
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
from workers.protocols.openai_stream import outcome_of, read_stream, take_texts
from workers.protocols.openai_wire import usage_of
from workers.protocols.urls import join_path, openai_paths


class CompletionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The target's keys for completions; `extra_body` is merged into each body, the row's own keys win."""

    model: str
    url: str = ""
    stream: bool = True
    extra_body: dict[str, object] = msgspec.field(default_factory=dict)


class OpenAICompletions:
    """Text completions: POST url + /v1/completions.

    `for_regression` sets temperature 0 and a seed where none is, and keeps bodies.
    """

    Options: ClassVar[type[CompletionOptions]] = CompletionOptions
    works: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    readiness_paths = staticmethod(openai_paths)

    def __init__(self, options: CompletionOptions, *, seed: int, for_regression: bool) -> None:
        self._stream = options.stream
        self._keep_bodies = for_regression
        self._path = join_path(options.url, "/v1/completions")
        self._defaults = defaults_of(options.extra_body, seed=seed, for_regression=for_regression)
        self._model = options.model
        self._headers = header_lines(stream=options.stream)

    def build(self, row: Row) -> Request:
        """A request from a body with `prompt`: a text, a list of texts or tokens, or a list of such lists.

        `model` and `stream` are the target's, whatever the row says. Streams ask for usage unless the row or
        `extra_body` says otherwise. Raises ProtocolError for a row without a prompt.
        """
        body = {**self._defaults, **row}
        if not isinstance(body.get("prompt"), str | list):
            raise ProtocolError(_no_prompt(row))
        data = encoded(body, model=self._model, stream=self._stream)
        return Request("POST", self._path, data, self._headers, self._stream)

    def parse(self, status: int, headers: Headers, body: bytes) -> Answer:
        """Read a whole answer; of several choices the first is kept."""
        found = read_whole(status, headers, body, keep=self._keep_bodies)
        if isinstance(found, Answer):
            return found
        fields, chunk = found
        if not chunk.choices or chunk.choices[0].text is None:
            return failed("invalid", "the body has no choices[0].text", fields)
        fields |= {"content": chunk.choices[0].text, "finish_reason": chunk.choices[0].finish_reason}
        output, given = usage_of(chunk.usage)
        return Answer(fields=fields, output_tokens=output, input_tokens=given, ok=True, kind="ok")

    def parse_stream(self, status: int, headers: Headers, chunks: Pieces) -> tuple[Answer, Timing]:
        """Read a streamed answer after its last byte; a server that ignored `stream` has no timing."""
        head = head_of(chunks)
        if not 200 <= status < 300 or is_html(headers, head) or is_json(headers, head):
            return self.parse(status, headers, joined(chunks)), NO_TIMING
        stream = read_stream(chunks, take_texts)
        content, reason = "".join(stream.content), stream.finish_reasons.get(0)
        fields: dict[str, object] = {"status": status, "content": content, "finish_reason": reason}
        if self._keep_bodies:
            fields["text"] = joined(chunks).decode("utf-8", "replace")
            fields["json"] = {"choices": [{"index": 0, "text": content, "finish_reason": reason}]}
        output, given = usage_of(stream.usage)
        kind, why = outcome_of(stream)
        return Answer(fields, output, given, not why, kind, bounded(why)), stream.timing


def _no_prompt(row: Row) -> str:
    has = ", ".join(sorted(row)[:8]) or "nothing"
    return f'an openai-completions row needs "prompt" (text, or a list); this one has: {has}'
