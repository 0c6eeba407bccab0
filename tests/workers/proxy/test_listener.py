"""Clients that are refused, cut off, swallowed; and which of them, by the seed."""

import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from workers.chaos.network.proxy_wire import Clear, Effect, Inject, Keep, Look
from workers.chaos.processes import boot_s


def _hold(standing, **effect):
    found = standing.ask(Inject(Effect(key="k", until_s=boot_s() + 60, **effect)))
    assert (found.wrong, found.held) == ("", "k")


def _echoes(line, data=b"x"):
    line.sendall(data)
    return line.recv(len(data)) == data


def test_refused_clients_get_no_connection_and_those_that_are_there_keep_theirs(serving, proxy):
    standing = proxy(serving().address)
    with standing.connect() as before:
        assert _echoes(before)
        _hold(standing, refuse=True)
        with pytest.raises(ConnectionRefusedError):
            standing.connect()
        with pytest.raises(OSError, match="in use"):  # the port is still ours
            socket.create_server(("127.0.0.1", standing.port))
        assert _echoes(before)
        standing.ask(Clear("k"))
        with standing.connect() as after:
            assert _echoes(after)
            assert _echoes(before)


def test_a_share_of_clients_is_turned_away_the_same_for_the_same_seed(serving, proxy):
    upstream = serving()

    def turned_away():
        standing = proxy(upstream.address)
        _hold(standing, refuse=True, share=0.5, seed=11)
        found = []
        for number in range(20):
            try:
                with standing.connect() as line:
                    _echoes(line)
            except ConnectionError:
                found.append(number)
        assert standing.ask(Look()).counts.chosen == len(found)
        return found

    first = turned_away()
    assert first == turned_away()
    assert 0 < len(first) < 20


def test_connections_are_reset_after_a_time(serving, proxy):
    standing = proxy(serving().address)
    with standing.connect() as line:
        assert _echoes(line)
        began_s = time.monotonic()
        _hold(standing, reset_after_s=0.2)
        with pytest.raises(ConnectionResetError):
            line.recv(1)
        assert time.monotonic() - began_s > 0.19
    with standing.connect() as new, pytest.raises(ConnectionResetError):
        new.recv(1)


def test_connections_are_reset_after_so_many_bytes(serving, proxy):
    standing = proxy(serving().address)
    _hold(standing, reset_after_bytes=100, direction="down")
    with standing.connect() as line:
        assert _echoes(line, b"x" * 60)
        line.sendall(b"y" * 60)
        with pytest.raises(ConnectionResetError):
            line.makefile("rb").read()


def test_answers_are_cut_off_after_so_many_bytes_as_if_all_were_said(serving, proxy):
    standing = proxy(serving().address)
    with standing.connect() as before:
        assert _echoes(before, b"x" * 500)
        _hold(standing, truncate_after_bytes=100, direction="down")
        before.sendall(b"z" * 500)
        assert before.makefile("rb").read() == b"z" * 100
    standing.ask(Clear("k"))
    with standing.connect() as after:
        assert _echoes(after, b"x" * 500)


def test_a_black_hole_swallows_nothing_for_good(serving, proxy, stage_until):
    upstream = serving()
    standing = proxy(upstream.address)
    with standing.connect() as line:
        assert _echoes(line)
        _hold(standing, blackhole=True)
        line.sendall(b"later")
        with standing.connect() as new:
            new.sendall(b"new")
            new.settimeout(0.3)
            line.settimeout(0.3)
            for one in (line, new):
                with pytest.raises(TimeoutError):
                    one.recv(1)
            assert upstream.accepted == 1
            stage_until(lambda: standing.ask(Look()).counts.touched == 2)
            standing.ask(Clear("k"))
            line.settimeout(20)
            new.settimeout(20)
            assert (line.recv(5), new.recv(3)) == (b"later", b"new")


def test_a_stream_is_not_cut_by_any_change_of_what_is_held(serving, proxy):
    """Half a megabyte trickles through while latency, a thin link and a black hole come and go."""
    standing = proxy(serving().address)
    data = b"".join(bytes([number % 251]) * 1000 for number in range(500))
    with standing.connect() as line:

        def trickle():
            for place in range(0, len(data), 10_000):
                line.sendall(data[place : place + 10_000])
                time.sleep(0.01)
            line.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=trickle)
        sender.start()
        for effect in (
            {"latency_s": 0.1},
            {"rate_bytes_per_s": 200_000.0},
            {"blackhole": True},
            {"slice_bytes": 700},
        ):
            _hold(standing, **effect)
            time.sleep(0.1)
            standing.ask(Clear("k"))
        assert line.makefile("rb").read() == data
        sender.join()


def test_a_proxy_stands_no_longer_than_somebody_keeps_it(serving, proxy, stage_until):
    standing = proxy(serving().address, keep_s=30.0)
    standing.ask(Keep("w1", 0.2))
    stage_until(lambda: standing.process.poll() is not None)
    assert not standing.folder.exists()
    with pytest.raises(ConnectionRefusedError):
        standing.connect()


def test_what_is_cut_short_ends_and_is_not_reset_though_its_client_still_talks(serving, proxy):
    def speaks_first(client):
        client.sendall(b"z" * 500)
        while client.recv(65536):
            pass

    standing = proxy(serving(speaks_first).address)
    _hold(standing, truncate_after_bytes=100, direction="down")
    with standing.connect() as line:

        def talks():
            with suppress(OSError):
                for _ in range(200):
                    line.sendall(b"y" * 100_000)

        talker = threading.Thread(target=talks)
        talker.start()
        assert line.makefile("rb").read() == b"z" * 100
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        talker.join()


def test_a_client_that_left_a_black_hole_is_led_nowhere_afterwards(serving, proxy, stage_until):
    """Else all who gave up meanwhile would be served at once when it is over."""
    upstream = serving()
    standing = proxy(upstream.address)
    _hold(standing, blackhole=True)
    with standing.connect() as patient:
        patient.sendall(b"still here")
        for _ in range(5):
            with standing.connect() as line:
                line.sendall(b"gone soon")
        stage_until(lambda: standing.ask(Look()).total == 6)
        stage_until(lambda: standing.ask(Look()).open == 1)
        standing.ask(Clear("k"))
        assert patient.recv(100) == b"still here"
    assert upstream.accepted == 1


def test_a_connection_is_reset_in_time_though_the_upstream_does_not_even_answer(proxy):
    with ExitStack() as end, socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        for _ in range(4):  # more than the kernel takes in for it
            one = end.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        standing = proxy(f"127.0.0.1:{deaf.getsockname()[1]}")
        _hold(standing, reset_after_s=0.2)
        with standing.connect() as line, pytest.raises(ConnectionResetError):
            line.recv(1)


def test_an_answer_is_given_in_the_place_of_an_upstream_that_is_not_there(serving, proxy):
    down = serving()
    standing = proxy(down.address, speaks="http")
    down.close()
    _hold(standing, speaks="http", answer="status", status=503)
    asked = b"GET / HTTP/1.1\r\n\r\n"
    with standing.connect() as line:
        for _ in range(2):
            line.sendall(asked)
            assert line.recv(1000).startswith(b"HTTP/1.1 503 ")
        standing.ask(Clear("k"))
        assert line.recv(1) == b"", "what is passed on has nowhere to go"
    with standing.connect() as line, pytest.raises(ConnectionResetError):
        line.recv(1)
