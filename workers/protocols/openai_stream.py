"""Fold the events of a stream of OpenAI's into one answer and the times of its output.

METRICS.md section 1: a role-only, null or empty delta is no output; reasoning counts for the first output but
not for the first that is not reasoning; EOF after a `finish_reason` is complete without [DONE]; a usage chunk
may have no choices, be all zeros or be missing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from workers.protocols.contract import Pieces, Timing
from workers.protocols.openai_wire import (
    Choice,
    Function,
    Message,
    ToolCall,
    Usage,
    decoder,
    error_text,
    text_of,
)
from workers.protocols.sse import DONE, events

MAX_TOOL_CALLS = 1024
"""Tool calls kept of one answer: a target cannot make the engine grow without end by inventing indices."""


@dataclass(slots=True)
class Stream:
    """What a stream has said so far; `error` is why it is no valid answer, empty while it is."""

    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tool_calls: dict[int, ToolCall] = field(default_factory=dict)
    finish_reasons: dict[int, str | None] = field(default_factory=dict)
    usage: Usage | None = None
    done: bool = False
    error: str = ""
    output_times_ns: list[int] = field(default_factory=list)
    first_non_reasoning_ns: int | None = None

    @property
    def complete(self) -> bool:
        """Whether it ended as it should: [DONE], or a finish_reason for every choice seen."""
        return self.done or (bool(self.finish_reasons) and all(self.finish_reasons.values()))

    @property
    def timing(self) -> Timing:
        """The times of the output so far."""
        return Timing(tuple(self.output_times_ns), self.first_non_reasoning_ns)


Take = Callable[[Stream, list[Choice], int], None]
"""Adds one event's choices, which came at that time, to the stream."""


def read_stream(chunks: Pieces, take: Take) -> Stream:
    """Read a whole stream; stops at [DONE], at an error event and at the first event that is no chunk."""
    stream = Stream()
    for number, (at_ns, data, kind) in enumerate(events(chunks), start=1):
        if data == DONE:
            stream.done = True
            break
        if not data:
            continue
        try:
            chunk = decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            text = data[:80].decode("utf-8", "replace")
            stream.error = f"event {number} of the stream is no chunk ({error}): {text}"
            break
        stream.error = error_text(chunk)
        if kind == b"error" and not stream.error:
            stream.error = f"an error event: {data[:200].decode('utf-8', 'replace')}"
        if stream.error:
            break
        if chunk.usage is not None and (chunk.usage.completion_tokens or chunk.usage.prompt_tokens):
            stream.usage = chunk.usage
        if chunk.choices:
            take(stream, chunk.choices, at_ns)
    return stream


def outcome_of(stream: Stream) -> tuple[str, str]:
    """(outcome, why): an error or a stream without any choice is invalid; an early end is incomplete."""
    if stream.error:
        return "invalid", stream.error
    if not stream.complete:
        return "incomplete", "the stream ended without finish_reason or [DONE]"
    if not stream.finish_reasons:
        return "invalid", "the stream held no choice, only [DONE]"
    return "ok", ""


def take_texts(stream: Stream, choices: list[Choice], at_ns: int) -> None:
    """Add one event's texts of completions, as `take_deltas` does for chats."""
    output = False
    for choice in choices:
        if choice.finish_reason or choice.index not in stream.finish_reasons:
            stream.finish_reasons[choice.index] = choice.finish_reason or None
        if choice.text:
            output = True
            if choice.index == 0:
                stream.content.append(choice.text)
    if output:
        stream.output_times_ns.append(at_ns)
        if stream.first_non_reasoning_ns is None:
            stream.first_non_reasoning_ns = at_ns


def take_deltas(stream: Stream, choices: list[Choice], at_ns: int) -> None:
    """Add one event's deltas of chats; the event's time counts once however many of them hold output."""
    output = answered = False
    for choice in choices:
        index = choice.index
        if choice.finish_reason or index not in stream.finish_reasons:
            stream.finish_reasons[index] = choice.finish_reason or None
        delta = choice.delta or choice.message
        if delta is None:
            continue
        reasoning = delta.reasoning_content or delta.reasoning or ""
        content = delta.content if type(delta.content) is str else text_of(delta.content)
        if index == 0:
            if reasoning:
                stream.reasoning.append(reasoning)
            if content:
                stream.content.append(content)
        spoken = bool(content) or (delta.tool_calls is not None and _take_tools(stream, delta, index))
        answered = answered or spoken or bool(delta.refusal)
        output = output or answered or bool(reasoning)
    if output:
        stream.output_times_ns.append(at_ns)
    if answered and stream.first_non_reasoning_ns is None:
        stream.first_non_reasoning_ns = at_ns


def _take_tools(stream: Stream, delta: Message, choice: int) -> bool:
    """Add pieces of tool calls to those of the first choice; true where a piece holds a name or arguments."""
    output = False
    for place, piece in enumerate(delta.tool_calls or ()):
        function = piece.function or Function()
        output = output or bool(function.name or function.arguments)
        index = place if piece.index is None else piece.index
        if choice != 0 or (index not in stream.tool_calls and len(stream.tool_calls) >= MAX_TOOL_CALLS):
            continue
        call = stream.tool_calls.setdefault(index, ToolCall(index=index, function=Function()))
        call.id = call.id or piece.id
        call.type = call.type or piece.type
        whole = call.function = call.function or Function()
        whole.name = (whole.name or "") + (function.name or "") or None
        whole.arguments = (whole.arguments or "") + (function.arguments or "")
    return output
