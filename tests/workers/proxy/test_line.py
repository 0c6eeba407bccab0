"""What a held effect makes of bytes on their way: later, slower, in pieces; in order, and none is lost."""

import random
import socket
import threading
import time

import pytest

from workers.chaos.network.proxy_wire import Clear, Effect, Inject, Look
from workers.chaos.processes import boot_s
from workers.proxy.hold import draw

SLACK_S = 1.0  # a busy machine is late, never early


@pytest.fixture
def hold():
    def inject(standing, **effect):
        found = standing.ask(Inject(Effect(key="k", until_s=boot_s() + 60, **effect)))
        assert found.wrong == ""
        assert found.held == "k"

    return inject


def _round_trip_s(line, data=b"x"):
    began_s = time.monotonic()
    line.sendall(data)
    got = b""
    while len(got) < len(data):
        got += line.recv(65536)
    assert got == data
    return time.monotonic() - began_s


@pytest.mark.parametrize("direction", ["both", "up", "down"])
def test_latency_is_added_to_a_round_trip_from_the_injection_to_the_end(serving, proxy, hold, direction):
    standing = proxy(serving().address)
    with standing.connect() as line:
        _round_trip_s(line)
        hold(standing, latency_s=0.2, direction=direction)
        assert 0.2 <= _round_trip_s(line) < 0.2 + 3 * SLACK_S
        with standing.connect() as another:
            assert 0.2 <= _round_trip_s(another) < 0.2 + 3 * SLACK_S
        assert standing.ask(Look()).counts.touched == 2
        standing.ask(Clear("k"))
        assert min(_round_trip_s(line) for _ in range(5)) < 0.2


def test_latency_delays_a_stream_and_does_not_thin_it(serving, proxy, hold):
    def clock(client):
        client.recv(1)
        for _ in range(20):
            client.sendall(b"t")
            time.sleep(0.01)

    standing = proxy(serving(clock).address)
    hold(standing, latency_s=0.3, direction="down")
    with standing.connect() as line:
        began_s = time.monotonic()
        line.sendall(b"g")
        assert line.makefile("rb").read() == b"t" * 20
        assert 0.3 < time.monotonic() - began_s < 0.3 + 0.2 + 3 * SLACK_S


def test_what_waits_at_the_revert_is_sent_at_once_and_none_of_it_is_lost(serving, proxy, hold):
    data = random.Random(2).randbytes(2 * 1024 * 1024)
    standing = proxy(serving().address)
    hold(standing, latency_s=30.0)
    with standing.connect() as line:
        sender = threading.Thread(target=lambda: (line.sendall(data), line.shutdown(socket.SHUT_WR)))
        sender.start()
        line.settimeout(0.3)
        with pytest.raises(TimeoutError):
            line.recv(1)
        line.settimeout(20)
        standing.ask(Clear("k"))
        assert line.makefile("rb").read() == data
        sender.join()


def test_a_thin_link_carries_so_much_a_second_over_all_connections(serving, proxy, hold):
    standing = proxy(serving().address)
    hold(standing, rate_bytes_per_s=100_000.0, direction="down")
    lines = [standing.connect() for _ in range(2)]
    began_s = time.monotonic()
    for line in lines:
        line.sendall(b"x" * 20_000)
    for line in lines:
        got = 0
        while got < 20_000:
            got += len(line.recv(65536))
        line.close()
    assert 0.35 <= time.monotonic() - began_s < 0.4 + 3 * SLACK_S


def test_bytes_come_in_pieces_with_gaps(serving, proxy, hold):
    standing = proxy(serving().address)
    hold(standing, slice_bytes=10, slice_gap_s=0.05, direction="down")
    with standing.connect() as line:
        began_s = time.monotonic()
        line.sendall(b"y" * 50)
        sizes = []
        while sum(sizes) < 50:
            sizes.append(len(line.recv(65536)))
        assert time.monotonic() - began_s >= 0.19
        assert all(size % 10 == 0 for size in sizes)


def test_gaps_are_kept_between_what_was_sent_apart(serving, proxy, hold):
    """Whether bytes reach the proxy together or one by one is the kernel's doing: neither shortens a gap."""
    standing = proxy(serving().address)
    hold(standing, slice_bytes=1, slice_gap_s=0.05, direction="up")
    with standing.connect() as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began_s = time.monotonic()
        for _ in range(10):
            line.sendall(b"x")
            time.sleep(0.005)
        assert line.makefile("rb").read(10) == b"x" * 10
        assert time.monotonic() - began_s >= 9 * 0.05


def test_jitter_spreads_delays_as_the_seed_has_it(serving, proxy, hold):
    standing = proxy(serving().address)
    hold(standing, latency_s=0.1, jitter_s=0.1, seed=7, direction="down")
    dice = draw(7, "down", 1)
    drawn = [0.1 + dice.uniform(-0.1, 0.1) for _ in range(8)]
    with standing.connect() as line:
        seen = [_round_trip_s(line) for _ in range(8)]
    assert max(drawn) - min(drawn) > 0.1
    assert all(took_s >= delay_s - 0.001 for took_s, delay_s in zip(seen, drawn, strict=True))
    assert sum(seen) < sum(drawn) + 3 * SLACK_S
