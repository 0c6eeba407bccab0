import itertools
import json
import socket
import statistics
import time
from collections.abc import Callable

import pytest

TTFT_S, GAP_S = 0.040, 0.005
MARGIN_S = 0.003  # three times the millisecond that is promised: the machine may be busy


@pytest.fixture(scope="module")
def target(start):
    return start("--ttft", "40ms", "--gap", "5ms", "--tokens", "24")


def chat_bytes(content: str, *, ident: str = "peak/1/1", **more) -> bytes:
    body = json.dumps({"messages": [{"role": "user", "content": content}], **more}).encode()
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: demo\r\nx-shakeout-id: %s\r\ncontent-length: %d\r\n\r\n"
        % (ident.encode(), len(body))
    ) + body


def read_stream(sock: socket.socket) -> list[tuple[float, bytes]]:
    """(time, bytes) of each piece, up to the last chunk."""
    pieces = []
    while not (pieces and pieces[-1][1].endswith(b"0\r\n\r\n")):
        data = sock.recv(65536)
        assert data, "the target closed the stream"
        pieces.append((time.monotonic(), data))
    return pieces


def events_of(text: str) -> list[dict]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def chat(target, content, **more):
    body = {"messages": [{"role": "user", "content": content}], **more}
    return target.ask("POST", "/v1/chat/completions", body, {"x-shakeout-id": "t/0/1"})


def least(measure: Callable[[], tuple[float, ...]]) -> float:
    """The largest of several median errors in the best of ten rounds: others may hold the cores."""
    worst = []
    for _ in range(10):
        worst.append(max(measure()))
        if worst[-1] < MARGIN_S:
            break
    return min(worst)


def test_tokens_come_at_their_times_to_a_millisecond(target):
    def errors_s() -> tuple[float, ...]:
        first_s, gaps_s, drift_s = [], [], []
        with target.socket() as sock:
            for _ in range(8):
                sent_s = time.monotonic()
                sock.sendall(chat_bytes("one two three", stream=True))
                opening, *tokens = [at_s for at_s, _ in read_stream(sock)]
                if not tokens:  # all was there when this process came to read it
                    continue
                assert opening < tokens[0]
                first_s.append(tokens[0] - sent_s - TTFT_S)
                gaps_s += [late - early - GAP_S for early, late in itertools.pairwise(tokens)]
                drift_s.append(tokens[-1] - sent_s - TTFT_S - 23 * GAP_S)
        return tuple(statistics.median(map(abs, each)) for each in (first_s, gaps_s, drift_s))

    assert least(errors_s) < MARGIN_S


def test_the_log_has_the_times_that_were_kept(start):
    target = start("--ttft", "40ms", "--gap", "5ms", "--tokens", "24")
    rounds = itertools.count(1)

    def errors_s() -> tuple[float, ...]:
        for _ in range(5):
            chat(target, "one two", stream=True)
        ended = target.wait_for_line("answered", 5 * next(rounds))[-5:]
        first_s = [(line["first_ns"] - line["received_ns"]) / 1e9 - TTFT_S for line in ended]
        whole_s = [(line["answered_ns"] - line["received_ns"]) / 1e9 - TTFT_S - 23 * GAP_S for line in ended]
        assert min(first_s + whole_s) > -1e-5
        return statistics.median(first_s), statistics.median(whole_s)

    assert least(errors_s) < MARGIN_S


def test_the_campaign_files_examples_are_answered_as_written(target):
    _, _, text = chat(target, "one two three", max_tokens=5)
    answer = json.loads(text)
    choice = answer["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "one two three one two"}
    assert choice["finish_reason"] == "length"
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    _, _, text = chat(target, "go")
    choice = json.loads(text)["choices"][0]
    assert choice["message"]["content"] == "go" + " go" * 23
    assert choice["finish_reason"] == "stop"


def test_a_stream_holds_role_tokens_reason_and_usage(target):
    status, headers, text = chat(
        target, "a b", max_tokens=3, stream=True, stream_options={"include_usage": True}
    )
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    role, *tokens, end, usage = events_of(text)
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [event["choices"][0]["delta"]["content"] for event in tokens] == ["a", " b", " a"]
    assert end["choices"][0]["finish_reason"] == "length"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 3


def test_usage_is_streamed_only_where_asked_for(target):
    _, _, text = chat(target, "a b", max_tokens=1, stream=True)
    assert "usage" not in text


def test_a_completion_repeats_its_prompt(target):
    _, _, text = target.ask("POST", "/v1/completions", {"prompt": "x y", "max_tokens": 3})
    assert json.loads(text)["choices"][0]["text"] == "x y x"
    _, _, text = target.ask("POST", "/v1/completions", {"prompt": ["x y"], "max_tokens": 3, "stream": True})
    assert "".join(event["choices"][0]["text"] for event in events_of(text)) == "x y x"


def test_nothing_to_repeat_is_an_empty_answer(target):
    _, _, text = chat(target, "  ", stream=True)
    role, end = events_of(text)
    assert role["choices"][0]["delta"]["content"] == ""
    assert end["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/chat/completions", b"{", 400),
        ("POST", "/v1/chat/completions", b"\xff\xfe", 400),
        ("POST", "/v1/chat/completions", b'{"messages":[{"role":"user","content":"\\ud800"}]}', 400),
        ("POST", "/v1/chat/completions", b'{"messages":[{"role":"user","content":"hi"}],"\xff":1}', 400),
        ("POST", "/v1/chat/completions", {"model": "demo"}, 400),
        ("POST", "/v1/chat/completions", {"messages": []}, 400),
        ("POST", "/v1/chat/completions", {"messages": None}, 400),
        ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": 5}]}, 400),
        ("POST", "/v1/chat/completions", {"messages": [{"role": "user"}], "max_tokens": 0}, 400),
        ("POST", "/v1/chat/completions", {"messages": [{"role": "user"}], "temperature": 9}, 400),
        ("POST", "/v2/models/m/infer", {"inputs": []}, 400),
        ("POST", "/v2/models/m/infer", b'{"inputs":[{"data":' + b"[" * 100_000, 400),
        ("POST", "/v1/nowhere", {}, 404),
        ("GET", "/v1/chat/completions", None, 405),
        ("POST", "/health", {}, 405),
    ],
)
def test_a_wrong_request_is_told_why(target, method, path, body, status):
    got, headers, text = target.ask(method, path, body)
    assert got == status
    assert headers["content-type"] == "application/json"
    assert json.loads(text)["error"]


def test_an_inference_takes_the_service_time(target):
    body = {"inputs": [{"name": "f", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
    began_s = time.monotonic()
    status, _, text = target.ask("POST", "/v2/models/ranker/versions/2/infer", body)
    assert time.monotonic() - began_s >= 0.005
    assert status == 200
    answer = json.loads(text)
    assert (answer["model_version"], answer["outputs"][0]["data"]) == ("2", [3.0, 7.0])


def test_looks_at_the_target_are_answered_and_not_logged(start):
    target = start()
    for path in (
        "/health",
        "/v1/models",
        "/v2",
        "/v2/health/ready",
        "/v2/health/live",
        "/v2/models/m",
        "/v2/models/m/ready",
    ):
        status, _, text = target.ask("GET", path)
        assert status == 200
        assert json.loads(text)
    assert target.stop() == 0
    assert target.lines() == []


def test_metrics_count_what_runs_and_what_was_answered(start):
    target = start("--ttft", "5s", "--tokens", "1")
    with target.socket() as sock:
        sock.sendall(chat_bytes("a", stream=True))
        target.wait_for_line("received")
        running = target.ask("GET", "/metrics")[2]
        assert "\nvllm:num_requests_running 1\n" in running
        assert "\ndemo:num_requests_running 1\n" in running
        read_stream(sock)
    after = target.ask("GET", "/metrics")[2]
    assert "\nvllm:num_requests_running 0\n" in after
    assert 'demo:requests_total{route="/v1/chat/completions",status="200"} 1\n' in after
    values = dict(line.rsplit(" ", 1) for line in after.splitlines() if not line.startswith("#"))
    assert float(values["process_resident_memory_bytes"]) > 1e6
    assert int(values["process_open_fds"]) >= 5


def test_requests_sent_ahead_are_answered_in_order(target):
    names = ["alpha", "beta", "gamma"]
    with target.socket() as sock:
        sock.sendall(b"".join(chat_bytes(name, max_tokens=2, ident=f"pipe/{name}/1") for name in names))
        text = b""
        while text.count(b'"total_tokens"') < len(names):
            data = sock.recv(65536)
            assert data
            text += data
    places = [text.index(f"{name} {name}".encode()) for name in names]
    assert places == sorted(places)


def test_each_request_is_logged_before_and_after_its_answer(start):
    target = start("--ttft", "10ms", "--gap", "1ms", "--tokens", "4")
    chat(target, "a b")
    target.ask("POST", "/v1/chat/completions", b"{", {"x-shakeout-id": "t/1/1"})
    target.ask("POST", "/v1/nowhere", {})
    target.wait_for_line("answered", 3)
    lines = target.lines()
    assert [line["event"] for line in lines] == ["received", "answered"] * 3
    assert [line["id"] for line in lines] == ["t/0/1"] * 2 + ["t/1/1"] * 2 + [None] * 2
    assert [line["status"] for line in lines[1::2]] == [200, 400, 404]
    good = lines[1]
    assert good["tokens"] == 4
    assert good["received_ns"] < good["first_ns"] <= good["answered_ns"]
    assert abs(good["received"] - time.time()) < 60


def test_a_client_that_leaves_mid_stream_is_logged_as_disconnected(start):
    target = start("--ttft", "5ms", "--gap", "20ms", "--tokens", "500")
    with target.socket() as sock:
        sock.sendall(chat_bytes("a b", stream=True, ident="gone/1/1"))
        while b'" b"' not in sock.recv(65536):
            pass
    (line,) = target.wait_for_line("disconnected")
    assert line["id"] == "gone/1/1"
    assert 2 <= line["tokens"] < 500
    metrics = target.ask("GET", "/metrics")[2]
    assert "\ndemo:num_requests_running 0\n" in metrics
    assert "\ndemo:disconnects_total 1\n" in metrics


def test_slots_make_the_others_wait_and_say_so(start):
    target = start("--ttft", "1500ms", "--tokens", "1", "--slots", "1")
    with target.socket() as first, target.socket() as second:
        first.sendall(chat_bytes("a", stream=True))
        target.wait_for_line("received", 1)
        second.sendall(chat_bytes("a", stream=True))
        target.wait_for_line("received", 2)
        assert "\nvllm:num_requests_waiting 1\n" in target.ask("GET", "/metrics")[2]
        read_stream(first)
        read_stream(second)
    early, late = target.wait_for_line("answered", 2)
    assert (late["first_ns"] - early["answered_ns"]) / 1e9 > 1.499


def test_the_error_rate_answers_503_in_json(start):
    target = start("--error-rate", "100%")
    status, _, text = chat(target, "a")
    assert status == 503
    assert json.loads(text)["error"]["type"] == "server_error"


def test_an_oversized_body_is_refused_and_logged_while_it_is_still_being_sent(start):
    target = start()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nx-shakeout-id: big/1/1\r\ncontent-length: 99000000\r\n\r\n"
    with target.socket() as sock:
        sock.sendall(head + b"x" * 100_000)
        assert sock.recv(4096).startswith(b"HTTP/1.1 413 ")
    (line,) = target.wait_for_line("answered")
    assert (line["id"], line["status"]) == ("big/1/1", 413)


def test_a_body_is_asked_for_where_the_client_waits(target):
    request = chat_bytes("a", max_tokens=1)
    head, body = request.split(b"\r\n\r\n", 1)
    with target.socket() as sock:
        sock.sendall(head + b"\r\nexpect: 100-continue\r\n\r\n")
        assert sock.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_old_client_gets_a_bare_stream_that_ends_with_the_connection(target):
    request = chat_bytes("a b", max_tokens=2, stream=True).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    with target.socket() as sock:
        sock.sendall(request)
        text = b""
        while data := sock.recv(4096):
            text += data
    head, body = text.split(b"\r\n\r\n", 1)
    assert b"chunked" not in head
    assert len(events_of(body.decode())) == 4
