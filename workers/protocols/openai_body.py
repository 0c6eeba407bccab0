"""What the bodies of chats and completions share: the target's keys in a request, a whole answer's checks."""

from collections.abc import Mapping

import msgspec

from workers.protocols.bodies import base_fields, http_failure, is_html
from workers.protocols.contract import Answer, Headers, failed
from workers.protocols.openai_wire import Chunk, decoder, error_text

HeaderLines = tuple[tuple[str, str], ...]


def header_lines(*, stream: bool) -> HeaderLines:
    """What is sent and what is taken back."""
    accepted = "text/event-stream" if stream else "application/json"
    return ("content-type", "application/json"), ("accept", accepted)


def defaults_of(extra_body: Mapping[str, object], *, seed: int, for_regression: bool) -> dict[str, object]:
    """What a row's own keys win over: `extra_body`, and before it what makes a regression repeatable."""
    fixed: dict[str, object] = {"temperature": 0, "seed": seed} if for_regression else {}
    return {**fixed, **extra_body}


def encoded(body: dict[str, object], *, model: str, stream: bool) -> bytes:
    """The body with the target's model and stream, whatever the row says; a stream asks for usage.

    `stream_options` of the row or of `extra_body` win: null means that none are sent.
    """
    body["model"] = model
    body["stream"] = stream
    given = body.get("stream_options", {})
    if not stream or given is None:
        body.pop("stream_options", None)
    elif isinstance(given, dict):
        body["stream_options"] = {"include_usage": True, **given}
    return msgspec.json.encode(body)


def read_whole(
    status: int, headers: Headers, body: bytes, *, keep: bool
) -> tuple[dict[str, object], Chunk] | Answer:
    """The fields that every answer has and what was decoded, or an answer that says why there is none."""
    if not 200 <= status < 300:
        return http_failure(status, body, keep=keep, headers=headers)
    fields = base_fields(status, body, keep=keep)
    if is_html(headers, body):
        return failed("invalid", "answered HTML, not JSON", fields)
    try:
        chunk = decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return failed("invalid", f"the body is no answer of OpenAI's form: {error}", fields)
    problem = error_text(chunk)
    if problem:
        return failed("invalid", f"status {status} with an error inside: {problem}", fields)
    return fields, chunk
