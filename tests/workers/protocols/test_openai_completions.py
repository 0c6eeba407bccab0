import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.errors import ProtocolError
from workers.protocols.openai_completions import CompletionOptions, OpenAICompletions

SSE = (("Content-Type", "text/event-stream"),)
JSON = (("content-type", "application/json"),)
DONE = b"data: [DONE]\n\n"


def completions(*, for_regression: bool = False, **options) -> OpenAICompletions:
    return OpenAICompletions(CompletionOptions(model="m", **options), seed=7, for_regression=for_regression)


def event(text, *, finish=None, index=0, **more) -> bytes:
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


def usage(output: int, given: int) -> bytes:
    counts = {"prompt_tokens": given, "completion_tokens": output}
    return b"data: " + json.dumps({"choices": [], "usage": counts}).encode() + b"\n\n"


def read(*pieces: bytes, **options):
    stamped = [(100 * place, piece) for place, piece in enumerate(pieces)]
    return completions(**options).parse_stream(200, SSE, stamped)


@pytest.mark.parametrize("prompt", ["hi", ["a", "b"], [1, 2, 3], [[1], [2]]])
def test_a_prompt_goes_as_it_is_to_the_page_of_completions(prompt):
    request = completions(url="http://h/v1", extra_body={"top_p": 0.9}).build(
        {"prompt": prompt, "model": "x"}
    )
    assert (request.method, request.path, request.stream) == ("POST", "/v1/completions", True)
    assert json.loads(request.body) == {
        "prompt": prompt,
        "model": "m",
        "top_p": 0.9,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_regression_sets_temperature_and_seed_and_whole_answers_ask_for_no_usage():
    body = json.loads(completions(for_regression=True, stream=False).build({"prompt": "hi", "seed": 3}).body)
    assert body == {"prompt": "hi", "model": "m", "stream": False, "temperature": 0, "seed": 3}


@pytest.mark.parametrize("row", [{}, {"prompt": 3}, {"messages": [{"role": "user", "content": "hi"}]}])
def test_a_row_without_a_prompt_is_refused_with_what_it_has(row):
    with pytest.raises(ProtocolError, match='openai-completions row needs "prompt"'):
        completions().build(row)


def test_an_empty_text_is_no_output_and_the_usage_chunk_has_no_choice():
    answer, timing = read(event(""), event("a"), event(" b"), event("", finish="length"), usage(2, 5), DONE)
    assert (answer.ok, answer.kind, answer.output_tokens, answer.input_tokens) == (True, "ok", 2, 5)
    assert timing.output_times_ns == (100, 200)
    assert timing.first_non_reasoning_ns == 100
    assert answer.fields == {"status": 200, "content": "a b", "finish_reason": "length"}


def test_a_stream_of_several_choices_keeps_the_first_and_waits_for_all():
    pieces = [event("a"), event("b", index=1), event("", finish="stop")]
    half, _ = read(*pieces)
    whole, timing = read(*pieces, event("", finish="stop", index=1))
    assert (half.kind, whole.ok, whole.fields["content"]) == ("incomplete", True, "a")
    assert timing.output_times_ns == (0, 100)


@pytest.mark.parametrize(
    ("pieces", "kind", "words"),
    [
        ((), "incomplete", "finish_reason"),
        ((event("a"),), "incomplete", "finish_reason"),
        ((DONE,), "invalid", "no choice"),
        ((event("a"), b'data: {"error": {"message": "full"}}\n\n'), "invalid", "full"),
        ((event("a"), b"data: {nope\n\n", DONE), "invalid", "event 2"),
    ],
)
def test_a_stream_that_is_no_whole_answer_says_why(pieces, kind, words):
    answer, _ = read(*pieces)
    assert (answer.ok, answer.kind) == (False, kind)
    assert words in answer.why


def test_a_stream_and_a_whole_body_have_the_same_fields():
    body = {"choices": [{"index": 0, "text": "a b", "finish_reason": "stop"}]}
    usage_counts = {"prompt_tokens": 2, "completion_tokens": 2}
    whole = completions(stream=False).parse(200, JSON, json.dumps({**body, "usage": usage_counts}).encode())
    streamed, _ = read(event("a"), event(" b", finish="stop"))
    assert whole.fields == streamed.fields
    assert (whole.output_tokens, whole.input_tokens) == (2, 2)
    kept, _ = read(event("a"), event(" b", finish="stop"), for_regression=True)
    assert kept.fields["json"] == body


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"choices": [{"message": {"content": "x"}}]}', b'{"error": "x"}']
)
def test_a_body_without_a_text_is_invalid(body):
    answer, timing = completions().parse_stream(200, JSON, [(1, body)])
    assert answer.kind == "invalid"
    assert timing.output_times_ns == ()


def test_a_status_is_its_own_outcome():
    answer, _ = completions().parse_stream(429, JSON, [(1, b'{"error": {"message": "slow down"}}')])
    assert (answer.kind, answer.why) == ("http_429", "HTTP 429: slow down")


@given(st.binary(max_size=200))
def test_no_bytes_of_a_target_raise(body):
    for headers in (SSE, JSON, ()):
        completions(for_regression=True).parse_stream(200, headers, [(1, body)])
    assert not completions(for_regression=True).parse(200, (), body).ok
