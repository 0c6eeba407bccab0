import base64
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.errors import ProtocolError
from workers.protocols.contract import settled
from workers.protocols.openai_embeddings import EmbeddingOptions, OpenAIEmbeddings


def embeddings(*, for_regression: bool = True, **options) -> OpenAIEmbeddings:
    return OpenAIEmbeddings(EmbeddingOptions(model="m", **options), seed=7, for_regression=for_regression)


def body(*vectors: object, **more: object) -> bytes:
    data = [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(vectors)]
    return json.dumps({"data": data, "usage": {"prompt_tokens": 5, "total_tokens": 5}, **more}).encode()


@pytest.mark.parametrize(
    ("given", "results"), [("a", 1), (["a", "b", "c"], 3), ([1, 2, 3], 1), ([[1], [2, 3]], 2)]
)
def test_each_input_must_get_an_embedding(given, results):
    request = embeddings(url="http://h:1").build({"input": given, "dimensions": 2})
    assert (request.path, request.stream, request.results) == ("/v1/embeddings", False, results)
    assert json.loads(request.body) == {"input": given, "dimensions": 2, "model": "m"}


def test_a_prompt_is_short_for_one_text_and_has_no_number_of_tokens_to_make():
    request = embeddings(extra_body={"encoding_format": "base64"}).build({"prompt": "hi", "max_tokens": 9})
    assert json.loads(request.body) == {"input": "hi", "model": "m", "encoding_format": "base64"}


@pytest.mark.parametrize("row", [{}, {"input": []}, {"input": ""}, {"input": 3}, {"prompt": ["a"]}])
def test_a_row_without_an_input_is_refused(row):
    with pytest.raises(ProtocolError, match='openai-embeddings row needs "input"'):
        embeddings().build(row)


def test_one_input_has_its_numbers_and_several_a_list_each_in_order():
    one = embeddings().parse(200, (), body([0.5, -1]))
    assert (one.ok, one.results, one.output_tokens, one.input_tokens) == (True, 1, None, 5)
    assert one.fields["embedding"] == [0.5, -1]
    assert one.fields["status"] == 200
    assert one.fields["json"]["data"][0]["index"] == 0
    turned = {"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]}
    assert embeddings().parse(200, (), json.dumps(turned).encode()).fields["embedding"] == [[1], [2]]


def test_base64_is_little_endian_floats():
    text = base64.b64encode(struct.pack("<3f", 1.5, 0, -2)).decode()
    assert embeddings().parse(200, (), body(text)).fields["embedding"] == [1.5, 0, -2]


def test_a_load_counts_embeddings_and_leaves_their_numbers_unread():
    answer = embeddings(for_regression=False).parse(200, (), body([1], [2]))
    assert (answer.ok, answer.results, answer.fields) == (True, 2, {"status": 200})


def test_a_missing_embedding_is_invalid_and_both_numbers_are_told():
    request = embeddings().build({"input": ["a", "b", "c"]})
    answer = settled(embeddings().parse(200, (), body([1], [2])), request, truncated=False)
    assert (answer.kind, answer.why) == ("invalid", "3 results were asked for, 2 came")


@pytest.mark.parametrize("for_regression", [True, False])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no answer with embeddings"),
        (b"<html>", "HTML"),
        (b"{}", "no data[0]"),
        (b'{"data": []}', "no data[0]"),
        (body([]), "not numbers"),
        (body(""), "not numbers"),
        (body(None), "not numbers"),
        (body([1.0, None]), "null"),
        (b'{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}', "inputs [0, 0]"),
        (b'{"data": [{"index": 1, "embedding": [1]}]}', "inputs [1]"),
        (b'{"error": {"message": "no pooling"}}', "no pooling"),
    ],
)
def test_what_is_no_embedding_is_invalid(text, words, for_regression):
    answer = embeddings(for_regression=for_regression).parse(200, (), text)
    assert (answer.ok, answer.kind) == (False, "invalid")
    assert words in answer.why


@pytest.mark.parametrize("vector", ["no base64!", "AAA=", ["a"], [[1]]])
def test_numbers_that_cannot_be_read_are_invalid_where_they_are_compared(vector):
    assert embeddings().parse(200, (), body(vector)).kind == "invalid"


def test_a_status_is_its_own_outcome_and_pieces_are_one_body():
    answer, timing = embeddings().parse_stream(501, (), [(1, b'{"error": {"mess'), (2, b'age": "no"}}')])
    assert (answer.kind, answer.why, timing.output_times_ns) == ("http_501", "HTTP 501: no", ())


@given(st.binary(max_size=200))
def test_no_bytes_of_a_target_raise(text):
    assert not embeddings().parse(200, (), text).ok
