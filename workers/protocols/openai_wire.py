"""The parts of OpenAI's generated answers that are read, streamed or whole; all else is skipped unread.

Only fields named here are decoded, which is what keeps a stream of 64 chunks well under 300 µs.
"""

import msgspec

from workers.protocols.contract import bounded


class Function(msgspec.Struct):
    """A function call, whole or a piece of one."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    """One tool call; `index` says which, in a stream."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: Function | None = None


class Message(msgspec.Struct):
    """A message, or the delta of one. Servers name reasoning in either of two ways."""

    content: str | list[object] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None


class Choice(msgspec.Struct):
    """One of the answers asked for: of a chat `delta` in a stream, `message` in a whole body; else `text`."""

    index: int = 0
    delta: Message | None = None
    message: Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class Usage(msgspec.Struct):
    """The server's own token counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Chunk(msgspec.Struct):
    """One event of a stream, or a whole body."""

    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: object = None
    message: object = None
    form: str | None = msgspec.field(default=None, name="object")


decoder = msgspec.json.Decoder(Chunk)


def error_text(chunk: Chunk) -> str:
    """The server's error message, empty where the chunk is no error."""
    if chunk.error is not None:
        return error_message(chunk.error)
    if chunk.form == "error":
        return error_message(chunk.message)
    return ""


def error_message(error: object) -> str:
    """What an `error` member says: its message, FastAPI's list of complaints, or all of it."""
    if isinstance(error, list):
        error = "; ".join(filter(None, map(_complaint, error))) or error
    if isinstance(error, dict):
        error = error.get("message") or error
    if isinstance(error, str) and error:
        return bounded(error)
    try:
        return bounded(f"an error without a message: {error!r}")
    except RecursionError:
        return "an error that is nested too deeply to be shown"


def _complaint(item: object) -> str:
    """One of FastAPI's complaints about a body, `{"loc": [...], "msg": text}`: where and what."""
    if not isinstance(item, dict) or not isinstance(item.get("msg"), str):
        return ""
    place = item.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, list) else ""
    return f"{where}: {item['msg']}" if where else str(item["msg"])


def text_of(content: str | list[object] | None) -> str:
    """The text of a content, which may be a list of parts."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join(part for part in parts if isinstance(part, str))


def usage_of(usage: Usage | None) -> tuple[int | None, int | None]:
    """(output, input) tokens; None for what is missing, both None where all are zero (METRICS.md 1)."""
    if usage is None or not (usage.prompt_tokens or usage.completion_tokens):
        return None, None
    return usage.completion_tokens, usage.prompt_tokens


def tool_call_field(calls: list[ToolCall]) -> list[object] | None:
    """Tool calls in the form in which a golden set writes them; None where there are none."""
    return [
        {
            "id": call.id,
            "type": call.type or "function",
            "function": {
                "name": call.function.name if call.function else None,
                "arguments": call.function.arguments if call.function else None,
            },
        }
        for call in calls
    ] or None
