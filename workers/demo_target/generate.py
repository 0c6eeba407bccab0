"""Triton's generate extension: the words of the text, repeated; a stream of events, or one answer."""

from typing import Annotated

import msgspec

from workers.demo_target.answer import Generation, Reply, Stream, generate, json_reply
from workers.demo_target.settings import Settings

_encode = msgspec.json.Encoder().encode
_Limit = Annotated[int, msgspec.Meta(ge=1)]


class GenerateParameters(msgspec.Struct, frozen=True):
    """What a request may say under `parameters` as well as beside `text_input`."""

    max_tokens: _Limit | None = None


class GenerateBody(msgspec.Struct, frozen=True):
    """Body of POST /v2/models/MODEL/generate and generate_stream; fields that are not here are ignored."""

    text_input: str
    max_tokens: _Limit | None = None
    parameters: GenerateParameters = GenerateParameters()
    return_finish_reason: bool = False
    return_num_output_tokens: bool = False


_read = msgspec.json.Decoder(GenerateBody).decode


def generated(body: bytes, *, model: str, version: str, settings: Settings) -> Reply:
    """One answer, when its last token would have come. Raises msgspec.DecodeError."""
    asked = _read(body)
    generation = _generation(asked, settings)
    answer: dict[str, object] = {
        "model_name": model,
        "model_version": version,
        "text_output": generation.text,
    }
    if asked.return_finish_reason:
        answer["finish_reason"] = generation.finish_reason
    if asked.return_num_output_tokens:
        answer["num_output_tokens"] = generation.tokens
    return json_reply(
        answer,
        delay_s=settings.ttft_s + max(generation.tokens - 1, 0) * settings.gap_s,
        tokens=generation.tokens,
    )


def generate_stream(body: bytes, *, model: str, version: str, settings: Settings) -> Stream:
    """An event a token, then an empty one that tells why it ended. Raises msgspec.DecodeError."""
    asked = _read(body)
    generation = _generation(asked, settings)
    labels: dict[str, object] = {"model_name": model, "model_version": version}
    each, end = dict(labels), dict(labels)
    if asked.return_num_output_tokens:
        each["num_output_tokens"], end["num_output_tokens"] = 1, 0
    if asked.return_finish_reason:
        end["finish_reason"] = generation.finish_reason
    before, after = _event({**each, "text_output": "\0"}).split(b'"\\u0000"')
    words = generation.words
    return Stream(
        opening=b"",
        first=before + _encode(words[0]) + after if words else b"",
        later=tuple(before + _encode(" " + word) + after for word in words),
        closing=_event({**end, "text_output": ""}),
        tokens=generation.tokens,
        ttft_s=settings.ttft_s,
        gap_s=settings.gap_s,
    )


def _generation(asked: GenerateBody, settings: Settings) -> Generation:
    limits = [value for value in (asked.max_tokens, asked.parameters.max_tokens) if value is not None]
    return generate(
        prompt=asked.text_input,
        prompt_tokens=len(asked.text_input.split()),
        limit=min(limits, default=None),
        tokens=settings.tokens,
    )


def _event(content: object) -> bytes:
    return b"data: " + _encode(content) + b"\n\n"
