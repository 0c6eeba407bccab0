"""OpenAI's embeddings: the lengths of an input's words, repeated in order up to the number of dimensions."""

import base64
import itertools
from typing import Annotated, Literal

import msgspec

from workers.demo_target.answer import Reply, json_reply
from workers.demo_target.binary import floats
from workers.demo_target.settings import Settings

DIMENSIONS = 8


class EmbeddingBody(msgspec.Struct, frozen=True):
    """Body of POST /v1/embeddings; fields that are not here are ignored."""

    input: str | list[int | str | list[int]]
    model: str | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=4096)] = DIMENSIONS


_read = msgspec.json.Decoder(EmbeddingBody).decode


def embed(body: bytes, *, settings: Settings) -> Reply:
    """Answer after the service time, one embedding an input; a token is a word, or one of a list of numbers.

    Raises msgspec.DecodeError on a body that is no JSON, or not the JSON of an embedding.
    """
    asked = _read(body)
    inputs = _inputs(asked.input)
    lengths = [_lengths(one) for one in inputs]
    data: list[object] = []
    for index, found in enumerate(lengths):
        vector = list(itertools.islice(itertools.cycle(found or [0.0]), asked.dimensions))
        shown = vector if asked.encoding_format == "float" else base64.b64encode(floats(vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": shown})
    tokens = sum(map(len, lengths))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    answer = {"object": "list", "data": data, "model": asked.model or settings.model, "usage": usage}
    return json_reply(answer, delay_s=settings.service_time_s)


def _inputs(given: str | list[int | str | list[int]]) -> list[str | list[int]]:
    """Each input on its own; a list of numbers is one, of tokens."""
    if isinstance(given, str):
        return [given]
    if not given:
        raise msgspec.ValidationError("input is empty")
    numbers = [one for one in given if isinstance(one, int)]
    if numbers:
        if len(numbers) != len(given):
            raise msgspec.ValidationError("input mixes numbers with texts")
        return [numbers]
    return [one for one in given if not isinstance(one, int)]


def _lengths(one: str | list[int]) -> list[float]:
    return [float(len(word)) for word in one.split()] if isinstance(one, str) else [float(n) for n in one]
