"""Streams as real servers send them at their worst, read by the real client from a real socket."""

import json
import time

import pytest

from workers.protocols.contract import settled
from workers.protocols.select import make_protocol

PAUSE_S = 0.06
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
TO_THE_END = HEAD + b"Connection: close\r\n\r\n"
LAST = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def chat(delta=None, *, finish=None, **more) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


def text(words: str, *, finish=None) -> bytes:
    return (
        b"data: "
        + json.dumps({"choices": [{"index": 0, "text": words, "finish_reason": finish}]}).encode()
        + b"\n\n"
    )


def triton(words: str) -> bytes:
    return b"data: " + json.dumps({"model_name": "m", "text_output": words}).encode() + b"\n\n"


def counts(output: int, given: int) -> bytes:
    usage = {"prompt_tokens": given, "completion_tokens": output}
    return b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.fixture
def read(scripted, client_of):
    """`read(protocol, *steps)`: a server takes the steps, bytes to send or seconds to wait; what came of it.

    (answer, output times in seconds since the request, the exchange). `end`: what the server does last.
    """

    def one(name, *steps, end=None):
        def script(line):
            line.request()
            for step in steps:
                if isinstance(step, bytes):
                    line.send(step)
                else:
                    time.sleep(step)
            if end is not None:
                end(line)

        protocol = make_protocol(name, {"model": "m"}, seed=1, for_regression=False)
        request = protocol.build({"prompt": "x"})
        with scripted(script) as server:
            exchange = client_of(server).send(request, b"host: h\r\n", authorised=lambda: True)
        if exchange.error:
            return None, (), exchange
        answer, timing = protocol.parse_stream(exchange.status, exchange.headers, exchange.pieces)
        answer = settled(answer, request, truncated=exchange.truncated)
        return answer, [(at - exchange.sent_ns) / 1e9 for at in timing.output_times_ns], exchange

    return one


def test_a_role_alone_and_empty_deltas_are_no_first_token(read):
    empty = [
        chat({"role": "assistant"}),
        chat({"content": ""}),
        chat({"content": None}),
        chat({}),
        chat(None),
    ]
    answer, times, _ = read(
        "openai-chat", CHUNKED, *map(chunk, empty), PAUSE_S,
        *map(chunk, [chat({"content": "a"}), chat({}, finish="stop"), counts(1, 3), DONE]), LAST,
    )  # fmt: skip
    assert (answer.ok, answer.fields["content"], answer.output_tokens) == (True, "a", 1)
    assert len(times) == 1
    assert times[0] >= PAUSE_S


def test_several_events_in_one_piece_are_several_outputs_at_one_time(read):
    events = chat({"content": "a"}) + chat({"content": "b"}) + chat({"content": "c d e"})
    answer, times, _ = read("openai-chat", CHUNKED, chunk(events + chat({}, finish="stop") + DONE), LAST)
    assert answer.fields["content"] == "abc d e"
    assert len(times) == 3
    assert len(set(times)) == 1


def test_an_event_cut_in_two_has_the_time_of_its_last_byte(read):
    event = chat({"content": "größer"}, finish="stop")
    middle = event.index(b"\\u00f6") + 3
    answer, times, _ = read(
        "openai-chat", CHUNKED, chunk(event[:middle]), PAUSE_S, chunk(event[middle:] + DONE), LAST
    )
    assert answer.fields["content"] == "größer"
    assert times[0] >= PAUSE_S


def test_reasoning_is_a_first_output_and_words_come_after_it(read):
    answer, times, _ = read(
        "openai-chat", CHUNKED, chunk(chat({"reasoning_content": "hm"})), PAUSE_S,
        chunk(chat({"content": "a"}, finish="stop") + DONE), LAST,
    )  # fmt: skip
    assert (answer.fields["reasoning"], answer.fields["content"]) == ("hm", "a")
    assert len(times) == 2
    assert times[1] >= PAUSE_S


@pytest.mark.parametrize("head", [TO_THE_END, CHUNKED])
def test_an_end_without_done_is_complete_after_a_finish_reason(read, head):
    framed = (lambda data: data) if head is TO_THE_END else chunk
    answer, _, exchange = read("openai-chat", head, framed(chat({"content": "a"}, finish="stop")))
    assert answer.ok
    assert exchange.truncated is (head is CHUNKED), "the last chunk never came, and nothing is missing"


@pytest.mark.parametrize("name", ["openai-chat", "openai-completions"])
@pytest.mark.parametrize("tail", [LAST, b""])
def test_an_early_end_is_incomplete_however_orderly_http_was(read, name, tail):
    event = chat({"content": "a"}) if name == "openai-chat" else text("a")
    answer, times, exchange = read(name, CHUNKED, chunk(event), tail)
    assert (answer.kind, len(times), exchange.error) == ("incomplete", 1, "")


def test_usage_of_zeros_is_no_count(read):
    pieces = [chat({"content": "a"}, finish="stop"), counts(0, 0), DONE]
    answer, _, _ = read("openai-chat", CHUNKED, *map(chunk, pieces), LAST)
    assert (answer.ok, answer.output_tokens, answer.input_tokens) == (True, None, None)


def test_a_reset_keeps_its_own_word(read):
    _, _, exchange = read(
        "openai-chat", CHUNKED, chunk(chat({"content": "a"})), PAUSE_S, end=lambda x: x.reset()
    )
    assert exchange.error == "reset"
    assert exchange.text == "connection reset by peer before the answer's end"


@pytest.mark.parametrize(
    ("head", "tail", "kind"),
    [(CHUNKED, LAST, "ok"), (CHUNKED, b"", "incomplete"), (TO_THE_END, b"", "ok"),
     (HEAD + b"Content-Length: 500\r\n\r\n", b"", "incomplete")],
)  # fmt: skip
def test_tritons_streams_end_with_http_alone(read, head, tail, kind):
    framed = chunk if head is CHUNKED else bytes
    answer, times, _ = read("triton-generate", head, framed(triton("a")), framed(triton(" b")), tail)
    assert (answer.kind, answer.fields["content"], len(times)) == (kind, "a b", 2)


def test_an_error_in_mid_stream_is_invalid_with_the_servers_words(read):
    answer, _, _ = read(
        "triton-generate", CHUNKED, chunk(triton("a") + b'data: {"error": "cache full"}\n\n'), LAST
    )
    assert (answer.kind, answer.why) == ("invalid", "cache full")


def test_a_hundred_thousand_empty_events_are_read_and_are_no_output(read):
    answer, times, _ = read(
        "openai-chat", TO_THE_END, b": ping\n\n" * 100_000 + chat({}, finish="stop") + DONE
    )
    assert (answer.ok, times, answer.fields["content"]) == (True, [], "")
