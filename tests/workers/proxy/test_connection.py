"""What passes a proxy that holds no fault is what passed without it: bytes, ends, failures, pace."""

import hashlib
import os
import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from workers.chaos.network.proxy_wire import Look

SIZE = 3 * 1024 * 1024


def _exchange(line, data):
    """Send all, say that this was all, and read to the end."""
    sender = threading.Thread(target=lambda: (line.sendall(data), line.shutdown(socket.SHUT_WR)))
    sender.start()
    found = b""
    while more := line.recv(65536):
        found += more
    sender.join()
    return found


def test_bytes_pass_both_ways_unchanged_and_an_end_is_an_end(serving, proxy):
    data = random.Random(1).randbytes(SIZE)
    with proxy(serving().address).connect() as line:
        assert hashlib.sha256(_exchange(line, data)).digest() == hashlib.sha256(data).digest()


def test_a_side_that_has_said_its_last_still_hears_the_other(serving, proxy):
    def answers_after_the_end(client):
        asked = b""
        while more := client.recv(100):
            asked += more
        client.sendall(b"you said " + asked)

    with proxy(serving(answers_after_the_end).address).connect() as line:
        line.sendall(b"all of it")
        line.shutdown(socket.SHUT_WR)
        assert line.makefile("rb").read() == b"you said all of it"


def test_a_reset_of_the_upstream_is_a_reset_for_the_client(serving, proxy):
    def resets(client):
        client.recv(10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with proxy(serving(resets).address).connect() as line:
        line.sendall(b"hello")
        with pytest.raises(ConnectionResetError):
            line.recv(10)


def test_a_reset_of_the_client_is_a_reset_for_the_upstream(serving, proxy, stage_until):
    seen = []

    def hears(client):
        try:
            while client.recv(10):
                pass
        except ConnectionResetError:
            seen.append("reset")

    line = proxy(serving(hears).address).connect()
    line.sendall(b"hello")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.close()
    stage_until(lambda: seen)


def test_an_upstream_that_is_down_resets_its_clients_and_nothing_else(serving, proxy):
    down = serving()
    standing = proxy(down.address)
    down.close()
    with standing.connect() as line, pytest.raises(ConnectionResetError):
        line.recv(10)
    assert standing.ask(Look()).open == 0


def test_both_sides_may_be_ipv6(serving, proxy):
    standing = proxy(serving(family=socket.AF_INET6).address, bind="::1")
    with standing.connect("::1") as line:
        assert _exchange(line, b"six") == b"six"


def test_who_reads_slowly_slows_its_sender_and_the_proxy_holds_little(serving, proxy, stage_until):
    sent, size = [0], 64 * 1024 * 1024
    block = os.urandom(1024 * 1024)

    def pours(client):
        for _ in range(size // len(block)):
            client.sendall(block)
            sent[0] += len(block)

    standing = proxy(serving(pours).address)
    before = psutil.Process(standing.process.pid).memory_info().rss
    with standing.connect() as line:
        line.recv(1)
        seen = [-1]

        def stalls():
            stalled = seen[0] == sent[0]
            seen[0] = sent[0]
            return stalled

        stage_until(stalls)
        assert sent[0] < size
        assert psutil.Process(standing.process.pid).memory_info().rss - before < 16 * 1024 * 1024
        rest = hashlib.sha256()
        got = 1
        while more := line.recv(1024 * 1024):
            got += len(more)
            rest.update(more)
    assert got == size


def test_many_clients_at_once_each_get_their_own(serving, proxy):
    standing = proxy(serving().address)

    def one(number):
        with standing.connect() as line:
            return _exchange(line, str(number).encode() * 1000) == str(number).encode() * 1000

    with ThreadPoolExecutor(max_workers=40) as clients:
        assert all(clients.map(one, range(300)))
    assert standing.ask(Look()).total == 300


def test_no_file_descriptor_is_left_of_clients_that_left(serving, proxy, stage_until):
    standing = proxy(serving().address)
    process = psutil.Process(standing.process.pid)
    before = process.num_fds()
    for _ in range(20):
        with standing.connect() as line:
            _exchange(line, b"x")
    stage_until(lambda: process.num_fds() <= before)
    assert standing.ask(Look()).open == 0


def test_a_side_whose_host_has_gone_is_noticed_though_nobody_speaks(serving, proxy):
    """By probes of the kernel: its timers of both sockets of a connection are the second kind."""
    upstream = serving()
    standing = proxy(upstream.address)
    with standing.connect() as line:
        _exchange_one(line)
        mine = f"/proc/{standing.process.pid}/net/tcp"
        timers = [
            fields[5][:2]
            for fields in (row.split() for row in Path(mine).read_text().splitlines()[1:])
            if fields[3] == "01" and _is_the_proxys(fields, standing.port, upstream.port)
        ]
    assert timers == ["02", "02"]


def _exchange_one(line):
    line.sendall(b"x")
    assert line.recv(1) == b"x"


def _is_the_proxys(fields, listens, leads_to):
    """Its end of the client's connection, and its end of the one that it made."""
    here, there = (int(field.rpartition(":")[2], 16) for field in fields[1:3])
    return listens == here or leads_to == there
