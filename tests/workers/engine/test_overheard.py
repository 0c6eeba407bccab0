import socket

import pytest

from workers.engine.overheard import outcome_of, overheard


class Response:
    def __init__(self, status_code, error=None):
        self.status_code = status_code
        self.error = error


def wrapped(error, by):
    try:
        raise by from error
    except type(by) as found:
        return found


@pytest.mark.parametrize(
    ("exception", "response", "outcome"),
    [
        (None, Response(500), "ok"),
        (RuntimeError("500 Server Error"), Response(500), "http_500"),
        (ValueError("I do not like it"), Response(200), "invalid"),
        (ValueError("own check"), None, "invalid"),
        (TimeoutError("timed out"), Response(0), "timeout"),
        (ConnectionRefusedError(111, "refused"), None, "connect"),
        (socket.gaierror(-2, "unknown"), None, "connect"),
        (ConnectionResetError(104, "reset"), None, "reset"),
        (BrokenPipeError(32, "pipe"), None, "reset"),
        ("just text", Response(418), "http_418"),
    ],
)
def test_an_error_becomes_the_outcome_that_it_is(exception, response, outcome):
    assert outcome_of(exception, response)[0] == outcome


def test_what_a_client_wrapped_is_found():
    assert outcome_of(wrapped(ConnectionRefusedError(), by=OSError("client")), None)[0] == "connect"
    assert outcome_of(RuntimeError("x"), Response(0, error=TimeoutError()))[0] == "timeout"
    assert outcome_of(OSError("pool", TimeoutError()), None)[0] == "timeout"


def test_causes_in_a_circle_end():
    one, other = OSError("one"), OSError("other")
    one.__context__, other.__context__ = other, one
    assert outcome_of(one, None)[0] == "invalid"


def test_an_event_of_ones_own_may_lack_anything():
    assert overheard({}).took_s == 0.0
    one = overheard({"request_type": "CUSTOM", "name": None, "response_time": None, "exception": None})
    assert (one.method, one.name, one.outcome) == ("CUSTOM", "", "ok")
    assert overheard({"response_time": -5}).took_s == 0.0
    assert overheard({"response_time": 1500}).took_s == 1.5
