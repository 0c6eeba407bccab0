import itertools
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.errors import ProtocolError
from workers.protocols.openai_chat import ChatOptions, OpenAIChat

SSE = (("Content-Type", "text/event-stream; charset=utf-8"),)
JSON = (("content-type", "application/json"),)


def chat(*, for_regression: bool = False, **options) -> OpenAIChat:
    return OpenAIChat(ChatOptions(model="m", **options), seed=7, for_regression=for_regression)


def event(delta=None, *, finish=None, index=0, **more) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


def usage(output: int, given: int) -> bytes:
    counts = {"prompt_tokens": given, "completion_tokens": output, "total_tokens": output + given}
    return b"data: " + json.dumps({"choices": [], "usage": counts}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def stamped(*pieces: bytes) -> list[tuple[int, bytes]]:
    return [(100 * place, piece) for place, piece in enumerate(pieces)]


def read(*pieces: bytes, **options):
    return chat(**options).parse_stream(200, SSE, stamped(*pieces))


# Building.


def test_a_prompt_is_short_for_one_user_message():
    request = chat(url="http://h:1").build({"prompt": "hi", "max_tokens": 3})
    body = json.loads(request.body)
    assert request.method == "POST"
    assert request.path == "/v1/chat/completions"
    assert body == {
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 3,
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_model_and_stream_are_the_targets_and_other_keys_the_rows():
    row = {"messages": [], "model": "other", "stream": True, "top_p": 0.5, "stream_options": {"x": 1}}
    request = chat(stream=False, extra_body={"top_p": 0.9, "top_k": 4}).build(row)
    assert json.loads(request.body) == {
        "messages": [],
        "model": "m",
        "stream": False,
        "top_p": 0.5,
        "top_k": 4,
    }
    assert not request.stream
    assert ("accept", "application/json") in request.headers


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"include_usage": False}, {"include_usage": False}),
        ({"continuous_usage_stats": True}, {"include_usage": True, "continuous_usage_stats": True}),
        (None, None),
    ],
)
def test_extra_body_may_say_otherwise_about_usage(given, sent):
    body = json.loads(chat(extra_body={"stream_options": given}).build({"prompt": "hi"}).body)
    assert body.get("stream_options") == sent


def test_regression_sets_temperature_and_seed_only_where_the_row_has_none():
    plain = json.loads(chat(for_regression=True).build({"prompt": "hi"}).body)
    own = json.loads(chat(for_regression=True).build({"prompt": "hi", "temperature": 1, "seed": 3}).body)
    assert (plain["temperature"], plain["seed"]) == (0, 7)
    assert (own["temperature"], own["seed"]) == (1, 3)
    assert "seed" not in json.loads(chat().build({"prompt": "hi"}).body)


@pytest.mark.parametrize("row", [{}, {"prompt": 3}, {"inputs": []}])
def test_a_row_without_messages_or_prompt_is_refused_with_what_it_has(row):
    with pytest.raises(ProtocolError, match="messages"):
        chat().build(row)


# Streams: METRICS.md section 1.


def test_a_role_only_null_or_empty_delta_is_no_output():
    answer, timing = read(
        event({"role": "assistant"}),
        event({"role": "assistant", "content": ""}),
        event({"content": None}),
        event({}),
        event(None),
        event({"content": "a"}),
        event({"content": "b"}),
        event({"content": ""}, finish="stop"),
        usage(2, 5),
        DONE,
    )
    assert (answer.ok, answer.kind, answer.why) == (True, "ok", "")
    assert timing.output_times_ns == (500, 600)
    assert timing.first_non_reasoning_ns == 500
    assert answer.fields["content"] == "ab"
    assert answer.fields["finish_reason"] == "stop"
    assert (answer.output_tokens, answer.input_tokens) == (2, 5)


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_reasoning_is_output_but_not_the_first_that_is_no_reasoning(key):
    answer, timing = read(event({key: "hm"}), event({"content": "a"}), event({}, finish="stop"))
    assert timing.output_times_ns == (0, 100)
    assert timing.first_non_reasoning_ns == 100
    assert answer.fields["reasoning"] == "hm"
    assert answer.fields["content"] == "a"


def test_an_end_after_a_finish_reason_is_complete_without_done():
    answer, _ = read(event({"content": "a"}), event({}, finish="length"))
    assert (answer.ok, answer.fields["finish_reason"]) == (True, "length")
    assert (answer.output_tokens, answer.input_tokens) == (None, None)


def test_done_is_complete_without_a_finish_reason_and_ends_the_reading():
    answer, timing = read(event({"content": "a"}), DONE, event({"content": "late"}))
    assert answer.ok
    assert answer.fields["content"] == "a"
    assert len(timing.output_times_ns) == 1


@pytest.mark.parametrize("pieces", [(), (b"",), (event({"content": "a"}),), (event({"content": "a"})[:-2],)])
def test_a_stream_that_ends_with_neither_is_incomplete(pieces):
    answer, _ = read(*pieces)
    assert (answer.ok, answer.kind) == (False, "incomplete")
    assert "finish_reason" in answer.why


def test_usage_of_all_zeros_is_absent_and_a_zero_output_beside_input_is_not():
    zeros, _ = read(event({"content": "a"}, finish="stop"), usage(0, 0), DONE)
    none, _ = read(event({"content": ""}, finish="stop"), usage(0, 4), DONE)
    assert (zeros.output_tokens, zeros.input_tokens) == (None, None)
    assert (none.output_tokens, none.input_tokens) == (0, 4)


def test_the_last_usage_of_a_stream_that_counts_as_it_goes_is_the_one():
    running = [
        event({"content": str(n)}, usage={"prompt_tokens": 4, "completion_tokens": n}) for n in range(1, 4)
    ]
    answer, _ = read(*running, event({}, finish="stop", usage=None), DONE)
    assert answer.output_tokens == 3


@pytest.mark.parametrize(
    "piece",
    [
        b'data: {"error": {"message": "out of memory", "code": 500}}\n\n',
        b'data: {"error": "out of memory"}\n\n',
        b'data: {"object": "error", "message": "out of memory", "code": 400}\n\n',
        b'event: error\ndata: {"detail": "out of memory"}\n\n',
    ],
)
def test_an_error_event_makes_the_answer_invalid_with_the_servers_words(piece):
    answer, timing = read(event({"content": "a"}), piece, DONE)
    assert (answer.ok, answer.kind) == (False, "invalid")
    assert "out of memory" in answer.why
    assert timing.output_times_ns == (0,)


def test_an_error_key_of_null_is_no_error():
    assert read(event({"content": "a"}, finish="stop", error=None))[0].ok


@pytest.mark.parametrize("data", [b"{broken", b"[1, 2]", b'{"choices": 3}', b"\xff\xfe"])
def test_an_event_that_is_no_chunk_is_invalid_and_shown(data):
    answer, _ = read(event({"content": "a"}), b"data: " + data + b"\n\n", DONE)
    assert answer.kind == "invalid"
    assert "event 2" in answer.why
    assert len(answer.why) <= 300


def test_done_alone_is_no_answer():
    assert read(DONE)[0].kind == "invalid"


def test_html_to_a_chat_request_is_invalid_whatever_its_type_says():
    page = b"\n<!doctype html><html>Sign in</html>"
    for headers in ((("Content-Type", "text/html"),), (), JSON):
        answer, timing = chat().parse_stream(200, headers, stamped(page))
        assert (answer.kind, answer.why) == ("invalid", "answered HTML, not JSON")
        assert timing.output_times_ns == ()
        assert chat(stream=False).parse(200, headers, page).why == "answered HTML, not JSON"


def test_tool_calls_are_put_together_and_count_as_output():
    first = {"index": 0, "id": "c1", "type": "function", "function": {"name": "find", "arguments": ""}}
    answer, timing = read(
        event({"role": "assistant", "content": None}),
        event({"tool_calls": [first]}),
        event({"tool_calls": [{"index": 0, "function": {"arguments": '{"q":'}}]}),
        event({"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]}),
        event({}, finish="tool_calls"),
    )
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q": 1}'}}
    assert answer.fields["tool_calls"] == [call]
    assert answer.fields["content"] is None
    assert timing.output_times_ns == (100, 200, 300)
    assert timing.first_non_reasoning_ns == 100


def test_of_several_choices_the_first_is_kept_and_all_must_finish():
    pieces = [event({"content": "a"}), event({"content": "b"}, index=1), event({}, finish="stop")]
    half, timing = read(*pieces)
    whole, _ = read(*pieces, event({}, finish="stop", index=1))
    assert half.kind == "incomplete"
    assert whole.ok
    assert whole.fields["content"] == "a"
    assert timing.output_times_ns == (0, 100)


BODY = b"".join(
    [
        b"\xef\xbb\xbf: hello\r\n\r\n",
        event({"role": "assistant", "content": ""}).replace(b"\n", b"\r\n"),
        event({"reasoning": "größer"}),
        event({"content": "a\n\nb"}),
        event({"content": " \u2028 c"}).replace(b"\n", b"\r"),
        b': comment\ndata: {"choices": [{"index": 0,\ndata: "delta": {"content": "d"}}]}\n\n',
        event({}, finish="stop"),
        usage(4, 9),
        DONE,
    ]
)


@given(st.lists(st.integers(0, len(BODY)), max_size=20))
def test_no_split_of_the_bytes_changes_the_answer(places):
    edges = [0, *sorted(places), len(BODY)]
    pieces = [BODY[low:high] for low, high in itertools.pairwise(edges)]
    answer, timing = read(*pieces, for_regression=True)
    assert answer == read(BODY, for_regression=True)[0]
    assert answer.fields["content"] == "a\n\nb \u2028 cd"
    assert answer.fields["reasoning"] == "größer"
    assert len(timing.output_times_ns) == 4
    assert list(timing.output_times_ns) == sorted(timing.output_times_ns)


@given(st.binary(max_size=200))
def test_no_bytes_of_a_target_raise(body):
    for headers in (SSE, JSON, ()):
        answer, _ = chat(for_regression=True).parse_stream(200, headers, stamped(body))
        assert answer.kind in {"incomplete", "invalid"} or b"[DONE]" in body
    assert chat(for_regression=True).parse(200, (), body).kind == "invalid"


@pytest.mark.parametrize("depth", [100, *range(880, 1010, 2), 100_000])
def test_no_depth_of_nesting_raises(depth):
    nested = b"[" * depth + b"]" * depth
    for body in (nested, b'{"error":' + nested + b"}", b'{"error":{"code":' + nested + b"}}"):
        assert chat(for_regression=True).parse(200, JSON, body).kind == "invalid"
        assert chat(for_regression=True).parse(500, JSON, body).kind == "http_500"
        assert read(b"data: " + body + b"\n\n")[0].kind == "invalid"


# Whole bodies and failures.


def whole(**choice) -> bytes:
    message = {"role": "assistant", "content": "hi", **choice.pop("message", {})}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}]}
    return json.dumps({**answer, "usage": {"prompt_tokens": 2, "completion_tokens": 1}}).encode()


def test_a_whole_body_gives_the_fields_of_a_golden_set():
    answer = chat(stream=False, for_regression=True).parse(200, JSON, whole())
    assert (answer.ok, answer.output_tokens, answer.input_tokens) == (True, 1, 2)
    assert answer.fields["content"] == "hi"
    assert answer.fields["finish_reason"] == "stop"
    assert answer.fields["tool_calls"] is None
    assert answer.fields["status"] == 200
    assert answer.fields["json"]["choices"][0]["message"]["content"] == "hi"
    assert answer.fields["text"] == whole().decode()


def test_a_stream_and_a_whole_body_with_the_same_words_have_the_same_fields():
    streamed, _ = read(event({"role": "assistant", "content": "hi"}), event({}, finish="stop"))
    assert streamed.fields == chat(stream=False).parse(200, JSON, whole()).fields


def test_a_server_that_ignores_stream_is_read_whole_and_has_no_timing():
    answer, timing = chat().parse_stream(200, JSON, stamped(whole()[:9], whole()[9:]))
    assert answer.ok
    assert answer.fields["content"] == "hi"
    assert timing.output_times_ns == ()


def test_content_may_come_in_parts():
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    assert chat().parse(200, JSON, whole(message={"content": parts})).fields["content"] == "ab"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"text": "x"}]}', b'{"error": "full"}'],
)
def test_a_body_that_holds_no_answer_is_invalid(body):
    answer = chat(stream=False).parse(200, JSON, body)
    assert (answer.ok, answer.kind) == (False, "invalid")
    assert answer.why


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (404, b'{"error": {"message": "no such model"}}', "HTTP 404: no such model"),
        (422, b'{"detail": [{"loc": "body"}]}', "HTTP 422: an error without a message"),
        (
            422,
            b'{"detail": [{"loc": ["body", "n", 0], "msg": "Input should be"}]}',
            "HTTP 422: body.n.0: Input",
        ),
        (502, b"<html>bad gateway</html>", "HTTP 502: <html>bad gateway</html>"),
        (503, b"", "HTTP 503"),
        (302, b"moved", "HTTP 302: moved"),
        (500, b"x" * 100_000, "HTTP 500: xxx"),
    ],
)
def test_a_status_is_its_own_outcome_with_the_servers_words(status, body, why):
    answer, timing = chat().parse_stream(status, JSON, stamped(body))
    assert answer.kind == f"http_{status}"
    assert answer.why.startswith(why)
    assert len(answer.why) <= 300
    assert answer.fields["status"] == status
    assert timing.output_times_ns == ()


def test_options_refuse_keys_that_chat_does_not_have():
    with pytest.raises(msgspec.ValidationError, match="path"):
        msgspec.convert({"model": "m", "path": "/x"}, ChatOptions)
