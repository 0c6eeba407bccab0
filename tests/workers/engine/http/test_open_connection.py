"""Connections between two requests: what a target does to them is noticed, and costs nothing."""

import threading
import time

import gevent

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
REST_S = 0.5


def test_a_connection_that_the_target_closed_does_not_keep_the_loop_busy(scripted, client_of, send):
    gone = threading.Event()

    def script(line):
        line.request()
        line.send(OK)
        if line.number == 0:
            line.socket.close()
            gone.set()
        else:
            line.until_closed()

    with scripted(script) as server:
        client = client_of(server)
        send(client)
        assert gone.wait(5)
        before_s = time.thread_time()
        gevent.sleep(REST_S)
        assert time.thread_time() - before_s < REST_S / 2
        assert not send(client).reused


def test_a_target_told_to_close_gets_a_new_connection_for_each_request(scripted, client_of, answer_all, send):
    block = b"host: h\r\nconnection: close\r\n"
    with scripted(answer_all(OK)) as server:
        client = client_of(server)
        found = [send(client, block=block) for _ in range(3)]
        assert len(server.lines) == 3
    assert [(one.error, one.reused) for one in found] == [("", False)] * 3


def test_bytes_that_nobody_asked_for_end_a_connection(scripted, client_of, send):
    said = threading.Event()

    def script(line):
        line.request()
        line.send(OK)
        if line.number == 0:
            time.sleep(0.05)
            line.send(OK)
            said.set()
        line.until_closed()

    with scripted(script) as server:
        client = client_of(server)
        send(client)
        while not said.is_set():
            gevent.sleep(0.01)
        gevent.sleep(0.05)
        exchange = send(client)
        assert (exchange.body, exchange.reused) == (b"ok", False)
