"""OpenAI's chat completions and completions: bodies checked, answers that repeat the prompt's words."""

from typing import Annotated

import msgspec

from workers.demo_target.answer import Generation, Reply, Stream, generate, json_reply
from workers.demo_target.settings import Settings

DONE = b"data: [DONE]\n\n"
_Limit = Annotated[int, msgspec.Meta(ge=1)]
_Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_One = Annotated[int, msgspec.Meta(ge=1, le=1)]
Labels = dict[str, str | int]  # id, created, model: the same in every chunk of an answer
_encode = msgspec.json.Encoder().encode


class Part(msgspec.Struct, frozen=True):
    """A piece of a message; only text has words."""

    type: str
    text: str = ""


class Message(msgspec.Struct, frozen=True):
    """One message of a chat."""

    role: str
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """Its text, pieces put together."""
        if isinstance(self.content, list):
            return " ".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(msgspec.Struct, frozen=True):
    """Whether the stream ends with a chunk of `usage`."""

    include_usage: bool | None = None


class ChatBody(msgspec.Struct, frozen=True):
    """Body of POST /v1/chat/completions; fields that are not here are ignored."""

    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: _Limit | None = None
    max_completion_tokens: _Limit | None = None
    temperature: _Temperature | None = None
    top_p: _Share | None = None
    n: _One | None = None
    seed: int | None = None

    @property
    def limit(self) -> int | None:
        """The lower of the two limits of the output, by its old name and its new one."""
        given = [value for value in (self.max_tokens, self.max_completion_tokens) if value is not None]
        return min(given, default=None)


class CompletionBody(msgspec.Struct, frozen=True):
    """Body of POST /v1/completions, of one prompt; fields that are not here are ignored."""

    prompt: str | Annotated[list[str], msgspec.Meta(min_length=1, max_length=1)]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: _Limit | None = None
    temperature: _Temperature | None = None
    top_p: _Share | None = None
    n: _One | None = None
    seed: int | None = None


_read_chat = msgspec.json.Decoder(ChatBody).decode
_read_completion = msgspec.json.Decoder(CompletionBody).decode


def chat(body: bytes, *, settings: Settings, number: int, created: int) -> Reply | Stream:
    """Answer a chat: the words of its last user message, repeated.

    `number` makes the answer's id, `created` is its unix time. Raises msgspec.DecodeError on a body that
    is no JSON, or not the JSON of a chat.
    """
    asked = _read_chat(body)
    prompt = next((message.text for message in reversed(asked.messages) if message.role == "user"), "")
    generation = generate(
        prompt=prompt,
        prompt_tokens=sum(len(message.text.split()) for message in asked.messages),
        limit=asked.limit,
        tokens=settings.tokens,
    )
    labels: Labels = {"id": f"chatcmpl-{number}", "created": created, "model": asked.model or settings.model}
    if asked.stream:
        usage = asked.stream_options is not None and asked.stream_options.include_usage
        return _chat_stream(labels, generation, usage=bool(usage), settings=settings)
    message = {"role": "assistant", "content": generation.text}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": generation.finish_reason}
    return _whole("chat.completion", labels, choice=choice, generation=generation, settings=settings)


def complete(body: bytes, *, settings: Settings, number: int, created: int) -> Reply | Stream:
    """Answer a completion: the words of its prompt, repeated. Arguments and errors as for `chat`."""
    asked = _read_completion(body)
    prompt = asked.prompt if isinstance(asked.prompt, str) else asked.prompt[0]
    generation = generate(
        prompt=prompt, prompt_tokens=len(prompt.split()), limit=asked.max_tokens, tokens=settings.tokens
    )
    labels: Labels = {"id": f"cmpl-{number}", "created": created, "model": asked.model or settings.model}
    if asked.stream:
        usage = asked.stream_options is not None and asked.stream_options.include_usage
        return _completion_stream(labels, generation, usage=bool(usage), settings=settings)
    choice = {
        "index": 0,
        "text": generation.text,
        "logprobs": None,
        "finish_reason": generation.finish_reason,
    }
    return _whole("text_completion", labels, choice=choice, generation=generation, settings=settings)


def _whole(
    kind: str,
    labels: Labels,
    *,
    choice: dict[str, object],
    generation: Generation,
    settings: Settings,
) -> Reply:
    """The answer in one piece, when its last token would have come."""
    return json_reply(
        {**labels, "object": kind, "choices": [choice], "usage": generation.usage},
        delay_s=settings.ttft_s + max(generation.tokens - 1, 0) * settings.gap_s,
        tokens=generation.tokens,
    )


def _chat_stream(labels: Labels, generation: Generation, *, usage: bool, settings: Settings) -> Stream:
    """Role first and at once, so that a client that takes it for output shows a wrong time to first token."""
    labels = {**labels, "object": "chat.completion.chunk"}
    start = _event({**labels, "choices": [_delta({"role": "assistant", "content": ""}, None)]})
    end = _event({**labels, "choices": [_delta({}, generation.finish_reason)]})
    before, after = _event({**labels, "choices": [_delta({"content": "\0"}, None)]}).split(b'"\\u0000"')
    return _stream(start, (before, after), end=end + _tail(labels, generation, usage=usage),
                   generation=generation, settings=settings)  # fmt: skip


def _completion_stream(labels: Labels, generation: Generation, *, usage: bool, settings: Settings) -> Stream:
    labels = {**labels, "object": "text_completion"}
    end = _event({**labels, "choices": [_text("", generation.finish_reason)]})
    before, after = _event({**labels, "choices": [_text("\0", None)]}).split(b'"\\u0000"')
    return _stream(b"", (before, after), end=end + _tail(labels, generation, usage=usage),
                   generation=generation, settings=settings)  # fmt: skip


def _stream(
    start: bytes, around: tuple[bytes, bytes], *, end: bytes, generation: Generation, settings: Settings
) -> Stream:
    """Events around each word; encoded once a word, since they repeat."""
    before, after = around
    words = generation.words
    return Stream(
        opening=start,
        first=before + _encode(words[0]) + after if words else b"",
        later=tuple(before + _encode(" " + word) + after for word in words),
        closing=end,
        tokens=generation.tokens,
        ttft_s=settings.ttft_s,
        gap_s=settings.gap_s,
    )


def _event(content: object) -> bytes:
    return b"data: " + _encode(content) + b"\n\n"


def _delta(delta: dict[str, str], finish_reason: str | None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _text(text: str, finish_reason: str | None) -> dict[str, object]:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}


def _tail(labels: Labels, generation: Generation, *, usage: bool) -> bytes:
    """The chunk of usage, if asked for, and the end mark."""
    return (_event({**labels, "choices": [], "usage": generation.usage}) if usage else b"") + DONE
