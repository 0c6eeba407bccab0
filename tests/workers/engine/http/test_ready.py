"""Readiness: asked of health pages or by connecting, never by an inference request."""

import subprocess
import sys
import time

import pytest

from workers.contract.errors import TargetRefusedError
from workers.engine import ready
from workers.engine.allow import AllowList
from workers.engine.endpoint import Endpoint, endpoint_of, header_block


def page(status, body=b""):
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body


def pages(answers):
    """Answer by path; every other path is 404."""

    def script(line):
        while request := line.request():
            line.send(answers.get(request.split(b" ", 2)[1], page(404)))

    return script


def ask(server, *, path="", limit_s=2.0):
    endpoint = endpoint_of(server.url + path, allow=AllowList())
    return ready.ask(endpoint, headers_block=header_block(endpoint, {"authorization": "x"}), limit_s=limit_s)


@pytest.mark.parametrize(
    "answers",
    [
        {b"/v1/models": page(200, b"{}")},
        {b"/v1/models": page(401)},
        {b"/v2/health/ready": page(200)},
        {b"/v2/health/ready": page(403)},
        {b"/health": page(200)},
        {b"/v1/models": page(502), b"/health": page(200)},
        {},
    ],
)
def test_a_target_that_answers_on_any_page_is_ready(scripted, answers):
    with scripted(pages(answers)) as server:
        assert ask(server) is None


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({b"/health": page(503)}, "not ready: 503 at /health"),
        ({b"/v2/health/ready": page(503)}, "not ready: 503 at /v2/health/ready"),
        ({b"/v1/models": page(502)}, "not ready: 502 at /v1/models"),
        ({b"/v2/health/ready": page(400)}, "not ready: 400 at /v2/health/ready"),
    ],
)
def test_a_target_that_says_it_is_not_ready_is_not(scripted, answers, reason):
    with scripted(pages(answers)) as server:
        assert ask(server) == reason


LOADING = b'{"model_version_status": [{"version": "1", "state": "LOADING"}]}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (LOADING, "not ready: no version is AVAILABLE at /v1/models/m"),
        (LOADING.replace(b"[", b'[{"version": "2", "state": "AVAILABLE"}, '), None),
    ],
)
def test_a_model_of_tensorflow_serving_is_ready_once_a_version_is_available(scripted, body, reason):
    with scripted(pages({b"/v1/models/m": page(200, body)})) as server:
        endpoint = endpoint_of(server.url, allow=AllowList())
        block = header_block(endpoint, {})
        assert ready.ask(endpoint, headers_block=block, paths=["/v1/models/m"]) == reason


def test_only_known_pages_are_asked_with_the_targets_headers_below_the_urls_path(scripted):
    with scripted(pages({})) as server:
        assert ask(server, path="/team/v1") is None
        lines = [request.partition(b"\r\n")[0] for request in server.requests]
        assert all(b"\r\nauthorization: x\r\n" in request for request in server.requests)
    assert lines == [
        b"GET /team/v1/models HTTP/1.1",
        b"GET /team/v2/health/ready HTTP/1.1",
        b"GET /team/health HTTP/1.1",
    ]


def test_paths_that_a_protocol_names_are_asked_as_they_are(scripted):
    with scripted(pages({b"/team/alive": page(503)})) as server:
        endpoint = endpoint_of(server.url + "/team", allow=AllowList())
        reason = ready.ask(endpoint, headers_block=b"host: h\r\n", paths=["/team/alive"])
    assert reason == "not ready: 503 at /team/alive"


def test_a_target_that_speaks_no_http_is_ready_when_it_accepts_connections(scripted):
    with scripted(lambda line: line.send(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00")) as server:
        assert ask(server) is None


def test_a_target_that_accepts_and_stays_silent_is_not_ready_and_holds_nobody_up(scripted):
    began_s = time.monotonic()
    with scripted(lambda line: line.until_closed()) as server:
        reason = ask(server, limit_s=0.2)
    assert reason == "connected, but no answer within 0.2 s to GET /health"
    assert time.monotonic() - began_s < 3


def test_a_target_that_nobody_started_is_said_in_plain_words(deaf_port):
    reason = ready.ask(Endpoint("127.0.0.1", deaf_port), headers_block=b"host: h\r\n")
    assert reason == f"connection refused at 127.0.0.1:{deaf_port}"


def test_a_target_off_the_list_raises():
    with pytest.raises(TargetRefusedError, match="--allow-target"):
        ready.ask(Endpoint("192.0.2.1", 80), headers_block=b"host: h\r\n")


CHILD = """
from gevent import monkey
monkey.patch_all()
import sys
from workers.engine import ready
from workers.engine.allow import AllowList
from workers.engine.endpoint import endpoint_of, header_block
endpoint = endpoint_of(sys.argv[1], allow=AllowList())
print(ready.ask(endpoint, headers_block=header_block(endpoint, {})))
heavy = {"redis", "pydantic", "pandas", "celery", "requests"} & set(sys.modules)
print(sorted(heavy))
"""


def test_a_patched_child_asks_likewise_and_imports_nothing_heavy(scripted):
    with scripted(pages({b"/health": page(503)})) as server:
        command = [sys.executable, "-c", CHILD, server.url.replace("127.0.0.1", "localhost")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines() == ["not ready: 503 at /health", "[]"]


def test_one_connection_serves_all_questions_and_is_closed_afterwards(scripted):
    with scripted(pages({})) as server:
        assert ask(server) is None
        assert server.over.wait(5)
        assert len(server.lines) == 1
