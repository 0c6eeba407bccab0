import base64
import json
import struct

import msgspec
import pytest

from workers.demo_target.embeddings import embed
from workers.demo_target.settings import Settings


def ask(given, **more):
    reply = embed(json.dumps({"input": given, **more}).encode(), settings=Settings(service_time_s=0.25))
    assert reply.delay_s == 0.25
    return json.loads(reply.body)


def test_an_embedding_is_the_lengths_of_the_words_repeated():
    answer = ask(["one three", ""], dimensions=3)
    assert [one["embedding"] for one in answer["data"]] == [[3, 5, 3], [0, 0, 0]]
    assert [one["index"] for one in answer["data"]] == [0, 1]
    assert answer["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    assert len(ask("one")["data"][0]["embedding"]) == 8


def test_tokens_are_their_own_lengths_and_base64_packs_floats():
    assert [one["embedding"] for one in ask([[7, 8], [9]], dimensions=2)["data"]] == [[7, 8], [9, 9]]
    (only,) = ask([7, 8], dimensions=2, encoding_format="base64")["data"]
    assert struct.unpack("<2f", base64.b64decode(only["embedding"])) == (7, 8)


@pytest.mark.parametrize("given", [[], [1, "a"], 3, None, [[1.5]]])
def test_an_input_of_another_form_is_refused(given):
    with pytest.raises(msgspec.ValidationError):
        ask(given)
