import http.client
import json
import time

import pytest

from workers.watching.hooks import Hooks, Sent
from workers.watching.webhook import MOST_BYTES, Receiver

MESSAGE = {
    "version": "4",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "Down", "instance": "a"},
            "startsAt": "2026-11-22T16:37:59.632Z",
            "endsAt": "0001-01-01T00:00:00Z",
        },
        {
            "status": "resolved",
            "labels": {"alertname": "Other"},
            "startsAt": "2026-11-22T16:37:59Z",
            "endsAt": "2026-11-22T16:38:00Z",
        },
    ],
}


@pytest.fixture
def receiver():
    """A receiver on loopback, its hooks, and what a listener for `Down` was told."""
    hooks, told = Hooks(), []
    hooks.listen("c attempt", frozenset(["Down"]), told.append)
    receiver = Receiver("127.0.0.1", 0, hooks=hooks, clock=lambda: 42.0)
    receiver.start()
    yield receiver, hooks, told
    receiver.close()


def post(receiver, body, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
    connection.request("POST", "/any", body=body, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_an_alert_is_told_to_those_who_listen_for_it(receiver):
    receiver, hooks, told = receiver
    assert post(receiver, json.dumps(MESSAGE)) == (200, "told to 1\n")
    assert told == [Sent("Down", "firing", pytest.approx(1795365479.632), 0.0, 42.0)]
    hooks.release("c attempt")
    assert post(receiver, json.dumps(MESSAGE)) == (200, "told to 0\n")
    assert len(told) == 1


@pytest.mark.parametrize("body", ["", "nonsense", "[]", '{"alerts": [{"labels": 3}]}', b"\xff\xfe"])
def test_what_is_no_message_is_refused_and_told_to_nobody(receiver, body):
    receiver, _, told = receiver
    assert post(receiver, body)[0] == 400
    assert told == []


def test_a_body_that_is_too_large_is_not_read(receiver):
    receiver, _, told = receiver
    assert post(receiver, b"", **{"Content-Length": str(MOST_BYTES + 1)})[0] == 413
    assert told == []


def test_who_connects_and_says_nothing_keeps_nobody_out(receiver):
    receiver, _, told = receiver
    silent = [http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10) for _ in range(8)]
    for one in silent:
        one.connect()
    begun_s = time.monotonic()
    assert post(receiver, json.dumps(MESSAGE))[0] == 200
    assert time.monotonic() - begun_s < 5
    assert len(told) == 1
    for one in silent:
        one.close()
