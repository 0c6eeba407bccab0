"""What the demo target answers, before any of it is sent: whole replies and streams, with their times."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer sent at once, `delay_s` after its request was received (or came out of the line)."""

    status: int
    body: bytes
    content_type: str = JSON
    delay_s: float = 0.0
    tokens: int = 0
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """An answer in server-sent events: `opening` at once, token i at `ttft_s` + i * `gap_s`.

    Token 0 is `first`, token i > 0 is `later[i % len(later)]`; `closing` follows the last one. With no
    tokens at all `closing` comes at `ttft_s`.
    """

    opening: bytes
    first: bytes
    later: tuple[bytes, ...]
    closing: bytes
    tokens: int
    ttft_s: float
    gap_s: float

    def events(self, start: int, stop: int) -> Iterator[bytes]:
        """Events of the tokens from `start` up to and without `stop`."""
        if start == 0 < stop:
            yield self.first
            start = 1
        size = len(self.later)
        for index in range(start, stop):
            yield self.later[index % size]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """The words of one generation and why it ended."""

    words: tuple[str, ...]  # to be repeated in order
    tokens: int  # how many words come out in all
    finish_reason: str  # length or stop
    prompt_tokens: int

    @property
    def text(self) -> str:
        """The whole output."""
        return " ".join(itertools.islice(itertools.cycle(self.words), self.tokens))

    @property
    def usage(self) -> dict[str, int]:
        """OpenAI's `usage`, a token being a word."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.tokens,
            "total_tokens": self.prompt_tokens + self.tokens,
        }


def generate(*, prompt: str, prompt_tokens: int, limit: int | None, tokens: int) -> Generation:
    """Repeat the words of `prompt` up to `tokens`, or up to `limit` where the request set a lower one.

    `finish_reason` is `length` where the limit cut it, else `stop`. No words, no output.
    """
    count = tokens if limit is None else min(limit, tokens)
    words = tuple(prompt.split()[:count])
    cut = bool(words) and count < tokens
    return Generation(
        words=words,
        tokens=count if words else 0,
        finish_reason="length" if cut else "stop",
        prompt_tokens=prompt_tokens,
    )


def json_reply(content: object, *, status: int = 200, delay_s: float = 0.0, tokens: int = 0) -> Reply:
    """Reply with `content` as JSON."""
    return Reply(status=status, body=msgspec.json.encode(content), delay_s=delay_s, tokens=tokens)


def refusal(path: str, *, status: int, message: str) -> Reply:
    """Reply with an error in the form of the path's protocol: OpenAI's, or a text as V2 and TensorFlow do."""
    if path.startswith("/v2") or path.endswith(":predict"):
        return json_reply({"error": message}, status=status)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": status}
    return json_reply({"error": error}, status=status)
