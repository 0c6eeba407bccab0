import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.errors import ProtocolError
from workers.protocols.contract import settled
from workers.protocols.triton_generate import GenerateOptions, TritonGenerate

SSE = (("Content-Type", "text/event-stream; charset=utf-8"),)
JSON = (("content-type", "application/json"),)


def generate(*, for_regression: bool = False, **options) -> TritonGenerate:
    return TritonGenerate(GenerateOptions(model="m", **options), seed=7, for_regression=for_regression)


def event(text, **more) -> bytes:
    return b"data: " + json.dumps({"model_name": "m", "text_output": text, **more}).encode() + b"\n\n"


def read(*pieces: bytes, **options):
    stamped = [(100 * place, piece) for place, piece in enumerate(pieces)]
    return generate(**options).parse_stream(200, SSE, stamped)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({}, "/v2/models/m/generate_stream"),
        ({"stream": False, "version": "2"}, "/v2/models/m/versions/2/generate"),
    ],
)
def test_a_prompt_is_short_for_the_text_and_the_model_is_told_whether_to_stream(options, path):
    request = generate(url="http://h:1", **options).build({"prompt": "hi", "max_tokens": 3})
    stream = options.get("stream", True)
    assert (request.path, request.stream, request.ends_with_http) == (path, stream, stream)
    assert json.loads(request.body) == {"text_input": "hi", "max_tokens": 3, "stream": stream}


def test_what_the_row_says_of_streaming_wins():
    inside = {"text_input": "hi", "parameters": {"stream": False, "temperature": 0}}
    assert json.loads(generate().build(inside).body) == inside
    beside = {"text_input": "hi", "stream": False}
    assert json.loads(generate().build(beside).body) == beside


@pytest.mark.parametrize("row", [{}, {"prompt": ["a"]}, {"messages": []}, {"text_input": None}])
def test_a_row_without_a_text_is_refused(row):
    with pytest.raises(ProtocolError, match='triton-generate row needs "text_input"'):
        generate().build(row)


def test_texts_are_put_together_and_an_empty_one_is_no_output():
    answer, timing = read(event(""), event("a"), event([" b"]), event(""))
    assert (answer.ok, answer.kind, answer.output_tokens) == (True, "ok", None)
    assert answer.fields == {"status": 200, "content": "a b", "text_output": "a b", "finish_reason": None}
    assert (timing.output_times_ns, timing.first_non_reasoning_ns) == ((100, 200), 100)


def test_tokens_are_those_that_the_model_tells_event_by_event():
    answer, _ = read(
        event("a", num_output_tokens=2, num_input_tokens=5, finish_reason="null"),
        event("b", num_output_tokens=1, num_input_tokens=5, finish_reason="stop"),
    )
    assert (answer.output_tokens, answer.input_tokens) == (3, 5)
    assert answer.fields["finish_reason"] == "stop"


def test_a_stream_without_http_end_is_incomplete_because_nothing_else_ends_it():
    answer, timing = read(event("a"), event("b"))
    request = generate().build({"prompt": "hi"})
    assert settled(answer, request, truncated=False).ok
    assert settled(answer, request, truncated=True).kind == "incomplete"
    assert timing.output_times_ns == (0, 100)


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ((), "no text_output"),
        ((b": only a comment\n\n",), "no text_output"),
        ((b'data: {"done": true}\n\n',), "no text_output"),
        ((event("a"), b'data: {"error": "cache is full"}\n\n'), "cache is full"),
        ((event("a"), b"data: {nope\n\n"), "event 2"),
        ((event("a"), b"data: [DONE]\n\n"), "event 2"),
        ((event(3),), "event 1"),
    ],
)
def test_a_stream_that_is_no_whole_answer_is_invalid(pieces, words):
    answer, _ = read(*pieces, for_regression=True)
    assert (answer.ok, answer.kind) == (False, "invalid")
    assert words in answer.why


def test_a_whole_answer_and_a_stream_have_the_same_fields():
    body = json.dumps({"model_name": "m", "text_output": "a b", "finish_reason": "stop"}).encode()
    whole = generate(stream=False).parse(200, JSON, body)
    streamed, _ = read(event("a"), event(" b", finish_reason="stop"))
    assert whole.ok
    assert whole.fields == streamed.fields
    told, timing = generate().parse_stream(200, JSON, [(1, body)])
    assert (told.fields, timing.output_times_ns) == (whole.fields, ())


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"", "no answer"), (b"{}", "no text_output"), (b'{"error": "x"}', "inside: x"), (b"<p>", "HTML")],
)
def test_a_body_without_a_text_is_invalid(body, words):
    answer = generate(stream=False, for_regression=True).parse(200, (), body)
    assert (answer.kind, words in answer.why) == ("invalid", True)


def test_a_refusal_before_the_stream_is_its_status():
    answer, _ = generate().parse_stream(404, JSON, [(1, b'{"error": "unknown model m"}')])
    assert (answer.kind, answer.why) == ("http_404", "HTTP 404: unknown model m")


@given(st.binary(max_size=120))
def test_no_bytes_of_a_target_raise(body):
    for headers in (SSE, JSON, ()):
        assert not generate(for_regression=True).parse_stream(200, headers, [(1, body)])[0].ok
