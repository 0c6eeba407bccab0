"""The server of the benchmarks says of itself what really happened."""

import http.client
import json
import shutil
import socket
import time

import pytest

from workers.protocols.openai_chat import ChatOptions, OpenAIChat

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler: apt-get install gcc")
SEEN_WITHIN_S = 10.0


def ask(truth, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", truth.port, timeout=10)
    connection.request("POST", path, json.dumps(body or {}), headers or {})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer, text


def chat(tokens, **more):
    return {"messages": [], "stream": True, "max_tokens": tokens, **more}


def test_a_stream_is_one_that_the_engine_reads_with_its_tokens(script):
    with script("truth_server").truth_server(first_ms=5, gap_ms=1) as truth:
        body = chat(7, stream_options={"include_usage": True})
        answer, text = ask(truth, "/v1/chat/completions", body)
    headers = tuple((name.lower(), value) for name, value in answer.getheaders())
    protocol = OpenAIChat(ChatOptions(model="truth"), seed=1, for_regression=False)
    read, timing = protocol.parse_stream(answer.status, headers, [(1, text)])
    assert read.ok
    assert read.output_tokens == 7
    assert len(timing.output_times_ns) == 7


def test_the_log_has_each_request_with_its_id_and_times_not_before_they_were_due(script):
    with script("truth_server").truth_server(first_ms=20, gap_ms=5) as truth:
        begun_s = time.monotonic()
        ask(truth, "/v1/chat/completions", chat(5), {"x-shakeout-id": "peak/3/1"})
        took_s = time.monotonic() - begun_s
        ask(truth, "/infer")
        log = truth.log()
    assert log.ids == ("peak/3/1", "-")
    assert list(log.tokens) == [5, 0]
    assert 0.020 <= log.ttft_s[0] <= took_s
    assert log.ttft_s[0] + 4 * 0.005 - 0.005 <= log.service_s[0] <= took_s
    assert begun_s <= log.received_s[0] <= begun_s + took_s


def test_a_service_time_is_kept_and_a_reset_forgets(script):
    with script("truth_server").truth_server(service="constant:30") as truth:
        ask(truth, "/infer")
        assert truth.log().service_s[0] >= 0.030
        truth.reset()
        assert truth.count() == 0
        assert len(truth.log().ids) == 0


def test_what_falls_into_a_stall_leaves_at_its_end(script):
    with script("truth_server").truth_server(stall="0:300") as truth:
        ask(truth, "/infer")
        assert truth.log().service_s[0] >= 0.29


def test_a_client_that_goes_away_leaves_an_unfinished_request(script):
    with script("truth_server").truth_server(first_ms=1, gap_ms=20) as truth:
        body = json.dumps(chat(500)).encode()
        with socket.create_connection(("127.0.0.1", truth.port), timeout=10) as connection:
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
        until_s = time.monotonic() + SEEN_WITHIN_S
        while truth.log().unfinished != 1 and time.monotonic() < until_s:
            time.sleep(0.02)
        assert truth.log().unfinished == 1
        assert ask(truth, "/infer")[0].status == 200


def test_an_unknown_shape_of_service_times_is_refused(script):
    with (
        pytest.raises(RuntimeError, match="ended with 2"),
        script("truth_server").truth_server(service="odd:1"),
    ):
        pass
