"""tcp-proxy against a real proxy, seen by clients that know nothing of it, with its agent killed half-way."""

import os
import signal
import socket
import threading
import time

import msgspec
import pytest

from workers.chaos.network.proxy_wire import Effect, Inject, Look
from workers.chaos.network.tcp_proxy import Options, tcp_proxy
from workers.chaos.processes import boot_s
from workers.chaos.run import plan
from workers.contract.errors import FaultError

HELLO = b"hello"
GONE_WITHIN_S = 15.0  # 5 s are promised


class Clients:
    """One client that asks all the time, on one connection while it lasts: what it experiences."""

    def __init__(self, port, *, every_s=0.01, patience_s=0.5):
        self._port, self._every_s, self._patience_s = port, every_s, patience_s
        self._over = threading.Event()
        self.last = ""
        self.round_trip_s = 0.0
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _ask(self):
        line = None
        while not self._over.wait(self._every_s):
            began_s = time.monotonic()
            try:
                line = line or socket.create_connection(("127.0.0.1", self._port), self._patience_s)
                line.sendall(HELLO)
                heard = b""
                while len(heard) < len(HELLO) and (more := line.recv(100)):
                    heard += more
            except OSError as error:
                self.last, heard = type(error).__name__, None
            else:
                self.last = "answered" if heard == HELLO else "ended"
            self.round_trip_s = time.monotonic() - began_s
            if heard != HELLO and line is not None:
                line.close()
                line = None
        if line is not None:
            line.close()


def _options(standing, upstream, **more):
    return {"listen": standing.port, "upstream": upstream.address, **more}


FELT = {
    "latency": (
        {"latency": "200ms"},
        lambda clients: clients.last == "answered" and clients.round_trip_s > 0.19,
    ),
    "rate": ({"rate": "64B/s"}, lambda clients: clients.round_trip_s > 0.1),
    "slice": ({"slice": "1B", "slice_gap": "50ms"}, lambda clients: clients.round_trip_s > 0.19),  # 4 gaps
    "reset at once": ({"reset_after": "0s"}, lambda clients: clients.last == "ConnectionResetError"),
    "reset after bytes": ({"reset_after": "3B"}, lambda clients: clients.last == "ConnectionResetError"),
    "truncated": ({"truncate_after": "3B"}, lambda clients: clients.last == "ended"),
    "black hole": ({"blackhole": True}, lambda clients: clients.last == "TimeoutError"),
    "refused": ({"refuse": True}, lambda clients: clients.last == "ConnectionRefusedError"),
}


def _hangs_up(client):
    """Answer once, then end: each client comes again and again, so that those who are refused are seen."""
    if client.recv(100):
        client.sendall(HELLO)


@pytest.mark.parametrize("name", FELT)
def test_clients_feel_it_until_five_seconds_after_the_agent_was_killed(
    serving, proxy, agent, make_order, until, name
):
    options, felt = FELT[name]
    upstream = serving(_hangs_up) if name == "refused" else serving()
    standing = proxy(upstream.address)
    with Clients(standing.port) as clients:
        until(lambda: clients.last == "answered")
        one = agent(make_order(None, fault="tcp-proxy", options=_options(standing, upstream, **options)))
        injected = one.until_event("injected")
        assert injected.touched == (f"proxy on port {standing.port} to {upstream.address}",)
        assert one.until_event("verified").took_effect
        until(lambda: felt(clients))
        one.process.send_signal(signal.SIGKILL)
        until(
            lambda: (
                clients.last in ("answered", "ended")
                and clients.round_trip_s < 0.1
                and standing.ask(Look()).held == ""
            ),
            GONE_WITHIN_S,
        )
        until(lambda: clients.last == "answered")
        until(lambda: not one.open_entries() and not one.guardians())
    assert standing.process.poll() is None


def test_it_takes_effect_for_its_time_and_says_so(serving, proxy, agent, make_order):
    upstream = serving()
    standing = proxy(upstream.address)
    options = _options(standing, upstream, latency="50ms")
    with Clients(standing.port):
        one = agent(make_order(None, fault="tcp-proxy", for_s=0.5, options=options))
        assert [(event.what, event.took_effect) for event in one.rest()] == [
            ("injected", None),
            ("verified", True),
            ("reverted", True),
        ]
    assert standing.ask(Look()).held == ""


def test_a_proxy_that_nobody_connects_through_did_not_take_effect(serving, proxy, agent, make_order):
    upstream = serving()
    standing = proxy(upstream.address)
    options = _options(standing, upstream, latency="50ms")
    one = agent(make_order(None, fault="tcp-proxy", for_s=0.3, options=options))
    _, verified, reverted = one.rest()
    assert (verified.what, verified.took_effect, reverted.took_effect) == ("verified", False, False)
    assert "no connection has passed the proxy" in verified.why
    assert upstream.address in verified.why


def test_a_proxy_that_dies_ends_the_effect_and_leaves_nothing(serving, proxy, agent, make_order):
    upstream = serving()
    standing = proxy(upstream.address)
    options = _options(standing, upstream, latency="50ms")
    with Clients(standing.port):
        one = agent(make_order(None, fault="tcp-proxy", for_s=1.0, options=options))
        assert one.until_event("verified").took_effect
        standing.process.kill()
        reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", False)
    assert "has ended" in reverted.why


def test_a_proxy_that_hangs_lets_go_by_itself_when_it_goes_on(serving, proxy, agent, make_order, until):
    """Nobody can reach it meanwhile: what is left is said, and seen to be gone later."""
    upstream = serving()
    standing = proxy(upstream.address)
    options = _options(standing, upstream, latency="50ms")
    with Clients(standing.port):
        one = agent(make_order(None, fault="tcp-proxy", for_s=1.0, limit_s=1.5, options=options))
        assert one.until_event("verified").took_effect
        os.kill(standing.process.pid, signal.SIGSTOP)
        assert "does not answer" in one.until_event("residue").why
        os.kill(standing.process.pid, signal.SIGCONT)
        until(lambda: standing.ask(Look()).held == "", GONE_WITHIN_S)
        assert one.rest()[-1].what == "reverted"
    assert one.open_entries() == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "say what happens to what passes"),
        ({"latency": "soon"}, "latency 'soon'"),
        ({"rate": "10"}, "rate '10'"),
        ({"rate": "1B/s"}, "at least 64B/s"),
        ({"refuse": True, "latency": "1s"}, "refuse goes with none of latency"),
        ({"refuse": True, "blackhole": True}, "blackhole goes with none of refuse"),
        ({"reset_after": "1s", "truncate_after": "1B"}, "say one of reset_after, truncate_after"),
        ({"slice_gap": "1s", "latency": "1s"}, "slice_gap is the time between pieces"),
        ({"slice": "0B"}, "at least 1B"),
        ({"latency": "1s", "body": "x"}, "say its `status` too"),
        ({"latency": "1s", "share": "0%"}, "felt by nobody"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_words(options, words):
    given = msgspec.convert({"listen": 9000, "upstream": "store:6379", **options}, Options)
    with pytest.raises(FaultError, match=words):
        tcp_proxy(given)


def test_without_a_proxy_it_is_refused_with_a_way_out(agent, make_order, free_port):
    port = free_port()
    options = {"listen": port, "upstream": "127.0.0.1:1", "latency": "1s"}
    (failed,) = agent(make_order(None, fault="tcp-proxy", options=options)).rest()
    assert failed.what == "failed"
    assert f"no proxy stands on port {port} here" in failed.why
    assert f"`--proxy {port}=127.0.0.1:1`" in failed.why


def test_a_dry_run_asks_whether_a_proxy_could_stand_there(make_order, tmp_path, free_port, serving):
    port = free_port()
    options = {"listen": port, "upstream": "127.0.0.1:1", "latency": "1s"}
    planned = plan(make_order(None, fault="tcp-proxy", options=options), ledger=tmp_path / "ledger")
    assert planned.touched == (f"proxy on port {port} to 127.0.0.1:1",)
    options["listen"] = serving().port
    with pytest.raises(FaultError, match="no proxy could listen on"):
        plan(make_order(None, fault="tcp-proxy", options=options), ledger=tmp_path / "ledger")


def test_a_proxy_that_leads_elsewhere_is_refused(serving, proxy, make_order, tmp_path):
    standing = proxy(serving().address)
    options = {"listen": standing.port, "upstream": "127.0.0.1:1", "latency": "1s"}
    with pytest.raises(FaultError, match=r"leads to .*, not to 127.0.0.1:1"):
        plan(make_order(None, fault="tcp-proxy", options=options), ledger=tmp_path / "ledger")


def test_a_proxy_that_holds_another_fault_is_refused(serving, proxy, make_order, tmp_path):
    upstream = serving()
    standing = proxy(upstream.address)
    standing.ask(Inject(Effect(key="another", until_s=boot_s() + 60, latency_s=1.0)))
    order = make_order(None, fault="tcp-proxy", options=_options(standing, upstream, latency="1s"))
    with pytest.raises(FaultError, match="holds another fault already"):
        plan(order, ledger=tmp_path / "ledger")
