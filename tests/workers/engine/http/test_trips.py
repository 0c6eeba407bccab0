"""Requests under way at the same time: each ends when its own time is up, and none is woken for another."""

import socket
import threading
import time

import gevent
import pytest

from workers.engine import roundtrip
from workers.engine.trips import Trips
from workers.protocols.contract import Request

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
TIMEOUT_S = 0.3
SLACK_S = 3.0  # a busy machine is late, never early
PATIENT_S = 3.0
"""Of a request that is answered in time, whatever the machine does meanwhile."""


@pytest.fixture
def at_once():
    """`at_once(send, n)`: n requests in greenlets of their own, all begun; their exchanges."""

    def run(send, number):
        asked = [gevent.spawn(send) for _ in range(number)]
        gevent.joinall(asked, timeout=20, raise_error=True)
        return [one.value for one in asked]

    return run


def test_each_of_many_silent_answers_times_out_after_its_own_time(scripted, client_of, send, at_once):
    def script(line):
        line.request()
        line.until_closed()

    with scripted(script) as server:
        client = client_of(server, TIMEOUT_S)
        found = at_once(lambda: send(client), 20)
    assert {one.error for one in found} == {"timeout"}
    assert {one.text for one in found} == {"no answer within 0.3 s"}
    for one in found:
        assert TIMEOUT_S <= (one.last_ns - one.sent_ns) / 1e9 < TIMEOUT_S + SLACK_S


def test_an_answer_in_time_outlives_the_deadline_of_those_before_it(scripted, client_of, send, at_once):
    def script(line):
        if line.number % 2:
            time.sleep(TIMEOUT_S / 3)
        line.request()
        if line.number % 2:
            line.send(OK)
        line.until_closed()

    with scripted(script) as server:
        client = client_of(server, PATIENT_S)
        outcomes = [one.error for one in at_once(lambda: send(client), 10)]
    assert sorted(outcomes) == [""] * 5 + ["timeout"] * 5


def test_a_later_request_has_its_own_deadline(scripted, client_of, send):
    may_answer = threading.Event()

    def script(line):
        line.request()
        assert may_answer.wait(20)
        line.send(OK)

    with scripted(script) as server:
        client = client_of(server, TIMEOUT_S)
        first = gevent.spawn(send, client)
        gevent.sleep(TIMEOUT_S / 2)
        second = gevent.spawn(send, client)
        gevent.joinall([first, second], timeout=10)
        may_answer.set()
    assert (first.value.error, second.value.error) == ("timeout", "timeout")
    assert second.value.sent_ns > first.value.sent_ns
    for one in (first.value, second.value):
        assert one.last_ns - one.sent_ns >= TIMEOUT_S * 1e9


class Late:
    """A request that takes 1 ms to be read once it is over; `order`: who was served, sockets and requests."""

    def __init__(self, trips, order, *, since_ns):
        self.waiter = None
        self.late_ns = 0
        self._trips, self._order, self._since_ns = trips, order, since_ns

    def run(self):
        self._trips.wait(self, since_ns=self._since_ns)
        until_ns = time.monotonic_ns() + 1_000_000
        while time.monotonic_ns() < until_ns:
            pass
        self._order.append("request")

    def too_late(self, now_ns):
        self.late_ns = now_ns
        self._trips.over(self)


def test_sockets_are_read_in_between_where_many_answers_come_at_once():
    trips = Trips(20.0, answer_bytes=1)
    order = []
    here, there = socket.socketpair()
    watcher = gevent.get_hub().loop.io(there.fileno(), 1)
    watcher.start(lambda: (there.recv(1), order.append("socket")))
    late = [Late(trips, order, since_ns=time.monotonic_ns()) for _ in range(40)]
    greenlets = [gevent.spawn(one.run) for one in late]
    gevent.sleep(0.01)
    for one in late:
        trips.over(one)
    here.send(b"x")
    gevent.joinall(greenlets, timeout=10, raise_error=True)
    watcher.stop()
    watcher.close()
    trips.close()
    here.close()
    there.close()
    assert order.index("socket") < 10
    assert len(order) == 41


def test_one_that_began_long_before_it_waits_has_no_more_time_than_others():
    trips = Trips(30.0, answer_bytes=1)
    now_ns = time.monotonic_ns()
    young, old = Late(trips, [], since_ns=now_ns), Late(trips, [], since_ns=now_ns - 29_900_000_000)
    waits, begun = gevent.spawn(young.run), gevent.spawn(old.run)
    gevent.joinall([begun], timeout=20, raise_error=True)
    assert old.late_ns - now_ns >= 100_000_000
    assert (young.late_ns, waits.ready()) == (0, False)
    waits.kill()
    trips.close()


def test_a_request_that_is_killed_wakes_nobody_and_leaves_its_connection_closed(scripted, client_of, send):
    asked = threading.Event()

    def script(line):
        line.request()
        if line.number == 0:
            asked.set()
            line.until_closed()
        line.send(OK)

    with scripted(script) as server:
        client = client_of(server)
        one = gevent.spawn(send, client)
        while not asked.is_set():
            gevent.sleep(0.01)
        one.kill()
        assert one.ready()
        assert send(client).body == b"ok"
        assert len(server.lines) == 2


def test_a_mistake_of_ours_is_raised_to_whoever_sent_and_blames_no_target(
    scripted, client_of, send, answer_all, monkeypatch
):
    def broken(*_, **__):
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(roundtrip.Response, "take", broken)
    with scripted(answer_all(OK)) as server, pytest.raises(ZeroDivisionError, match="a mistake"):
        send(client_of(server))


def test_an_answer_before_all_of_the_request_was_taken_is_read(scripted, client_of, send):
    big = Request("POST", "/", b"x" * 20_000_000, (), stream=False)

    def script(line):
        line.socket.recv(1000)
        line.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        line.until_closed()

    with scripted(script) as server:
        exchange = send(client_of(server, 2.0), big)
    assert exchange.error in {"", "timeout"}
    assert exchange.status in {0, 413}
    assert exchange.sent_ns > 0


def test_a_request_that_nobody_reads_times_out_while_it_is_written(scripted, client_of, send):
    over = threading.Event()
    big = Request("POST", "/", b"x" * 50_000_000, (), stream=False)
    with scripted(lambda _: over.wait(20)) as server:
        exchange = send(client_of(server, TIMEOUT_S), big)
        over.set()
    assert (exchange.error, exchange.text) == ("timeout", "no answer within 0.3 s")
    assert (exchange.last_ns - exchange.sent_ns) / 1e9 < TIMEOUT_S + SLACK_S
