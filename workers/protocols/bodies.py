"""Tell kinds of body apart, and read a failed answer: what the HTTP protocols share."""

from workers.contract.json_text import decode
from workers.protocols.contract import Answer, Headers, failed
from workers.protocols.openai_wire import error_message

MAX_ERROR_BODY_BYTES = 65_536
"""How much of a failed answer's body is searched for a message: errors are short, floods are not read."""


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


def http_failure(status: int, body: bytes, *, keep: bool) -> Answer:
    """An answer whose status is not 2xx; `keep` adds the body to its fields as text and json."""
    fields: dict[str, object] = {"status": status}
    text = body[:MAX_ERROR_BODY_BYTES].decode("utf-8", "replace")
    value = _value(body)
    if keep:
        fields["text"] = body.decode("utf-8", "replace")
        if value is not None:
            fields["json"] = value
    if isinstance(value, dict):
        told = value.get("error") or value.get("detail") or value.get("message")
        text = error_message(told) if told else text
    return failed(f"http_{status}", f"HTTP {status}: {text}" if text.strip() else f"HTTP {status}", fields)


def _value(body: bytes) -> object:
    if len(body) > MAX_ERROR_BODY_BYTES:
        return None
    try:
        return decode(body)
    except ValueError:
        return None
