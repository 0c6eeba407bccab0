"""Tell kinds of body apart, and read a failed answer: what the HTTP protocols share."""

from contextlib import suppress

from workers.contract.json_text import decode
from workers.protocols.contract import Answer, Headers, Pieces, failed
from workers.protocols.openai_wire import error_message

MAX_ERROR_BODY_BYTES = 65_536
"""How much of a failed answer's body is searched for a message: errors are short, floods are not read."""


REDIRECTS = frozenset({301, 302, 303, 307, 308})


def content_type(headers: Headers) -> str:
    """The media type without its parameters, in lower case; empty where none was sent."""
    for name, value in headers:
        if name.lower() == "content-type":
            return value.partition(";")[0].strip().lower()
    return ""


def is_html(headers: Headers, head: bytes) -> bool:
    """Whether the body is a web page, by its type or, where that says nothing, its first byte."""
    media = content_type(headers)
    if media in {"text/html", "application/xhtml+xml"}:
        return True
    return media != "text/event-stream" and head.lstrip()[:1] == b"<"


def is_json(headers: Headers, head: bytes) -> bool:
    """Whether the body is one JSON value, by its type or, where that says nothing, its first byte."""
    media = content_type(headers)
    if media == "text/event-stream":
        return False
    return media == "application/json" or media.endswith("+json") or head.lstrip()[:1] == b"{"


def head_of(chunks: Pieces) -> bytes:
    """The first bytes that are not blank, enough to tell HTML, JSON and events apart."""
    for _, piece in chunks:
        text = piece.lstrip()
        if text:
            return text
    return b""


def joined(chunks: Pieces) -> bytes:
    """The body in one piece."""
    return b"".join([piece for _, piece in chunks])


def base_fields(status: int, body: bytes, *, keep: bool) -> dict[str, object]:
    """The fields that every answer has: status; `keep` adds the body as text and, where it is JSON, json."""
    fields: dict[str, object] = {"status": status}
    if keep:
        fields["text"] = body.decode("utf-8", "replace")
        with suppress(ValueError):  # the reason stands in the answer's `why`
            fields["json"] = decode(body)
    return fields


def http_failure(status: int, body: bytes, *, keep: bool, headers: Headers = ()) -> Answer:
    """An answer whose status is not 2xx; `keep` adds the body to its fields as text and json.

    A redirect is such an answer too: it is told where to, and never followed.
    """
    fields: dict[str, object] = {"status": status}
    text = body[:MAX_ERROR_BODY_BYTES].decode("utf-8", "replace")
    value = _value(body)
    to = _redirected_to(headers) if status in REDIRECTS else ""
    if to:
        text = f"redirect to {to}, which is never followed; give the target the address that answers itself"
    if keep:
        fields["text"] = body.decode("utf-8", "replace")
        if value is not None:
            fields["json"] = value
    if isinstance(value, dict) and not to:
        told = value.get("error") or value.get("detail") or value.get("message")
        text = error_message(told) if told else text
    return failed(f"http_{status}", f"HTTP {status}: {text}" if text.strip() else f"HTTP {status}", fields)


def _redirected_to(headers: Headers) -> str:
    """The address of a redirect without its query, which may hold a secret."""
    for name, value in headers:
        if name.lower() == "location":
            return value.partition("?")[0]
    return ""


def _value(body: bytes) -> object:
    if len(body) > MAX_ERROR_BODY_BYTES:
        return None
    try:
        return decode(body)
    except ValueError:
        return None
