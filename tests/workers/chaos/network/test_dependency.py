"""dependency: clients of a real store that are told nothing, old values, late or wrongly, till it is over."""

import http.client
import json
import signal
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import msgspec
import pytest
import redis

from workers.chaos.network.dependency import Options, dependency
from workers.chaos.network.proxy_wire import Look
from workers.contract.errors import FaultError

GONE_WITHIN_S = 15.0  # 5 s are promised
FEATURES = {"user": 7, "features": {"age": 31, "country": "DE", "scores": [0.5, 0.25]}}


class Store(BaseHTTPRequestHandler):
    """A feature store over HTTP/1.1; its answer says how often it was asked."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        body = json.dumps({**FEATURES, "version": self.asked}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def store():
    kind = type("OwnStore", (Store,), {"asked": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield kind, f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Asks:
    """A service that asks its dependency all the time, and what it was answered last."""

    def __init__(self, ask):
        self._ask = ask
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.last, self.took_s = None, 0.0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        while not self._over.wait(0.01):
            began_s = time.monotonic()
            try:
                self.last = self._ask()
            except OSError as error:
                self.last = type(error).__name__
            self.took_s = time.monotonic() - began_s


@contextmanager
def _over_http(port):
    """A client with one connection that stays open; what it is called for is the status and the answer."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def ask():
        line.request("GET", "/users/7")
        answer = line.getresponse()
        return answer.status, answer.read()

    with closing(line):
        yield ask


def _is_right(asks):
    return (
        isinstance(asks.last, dict)
        and asks.last.get("features") == FEATURES["features"]
        and asks.took_s < 0.2
    )


FELT = {
    "empty": ({}, lambda asks, _: asks.last == {}),
    "stale": ({}, lambda asks, version: asks.last.get("version") == version),
    "slow": ({"latency": "300ms"}, lambda asks, _: "features" in asks.last and asks.took_s > 0.29),
    "wrong": (
        {},
        lambda asks, _: (
            asks.last["features"].keys() == FEATURES["features"].keys() and asks.last["features"]["age"] != 31
        ),
    ),
}


@pytest.mark.parametrize("answer", FELT)
def test_a_feature_store_answers_so_until_five_seconds_after_the_agent_was_killed(
    store, proxy, agent, make_order, until, answer
):
    kind, address = store
    standing = proxy(address, speaks="http")
    options, felt = FELT[answer]
    with _over_http(standing.port) as ask, Asks(lambda: json.loads(ask()[1])) as asks:
        until(lambda: _is_right(asks) and standing.ask(Look()).remembered)
        given = {"listen": standing.port, "upstream": address, "answer": answer, **options}
        one = agent(make_order(None, fault="dependency", options=given))
        assert one.until_event("verified").took_effect
        asked = [kind.asked]
        until(lambda: felt(asks, asked[0] if answer != "stale" else asks.last.get("version")))
        if answer in ("empty", "stale"):
            asked[0] = kind.asked
            until(lambda: felt(asks, asks.last.get("version")))
            assert kind.asked - asked[0] <= 1
        one.process.send_signal(signal.SIGKILL)
        until(lambda: _is_right(asks) and asks.last["version"] == kind.asked, GONE_WITHIN_S)
        until(lambda: not one.open_entries() and not one.guardians())
    assert standing.ask(Look()).held == ""


@pytest.fixture
def cache(shared_valkey, redis_client, proxy):
    """A real cache with a proxy before it, and a client that goes through the proxy."""
    parts = urlsplit(shared_valkey.url)
    address = f"127.0.0.1:{parts.port}"
    redis_client.mset({"a": "1.5", "b": "text"})
    redis_client.hset("h", mapping={"x": "1", "y": "2"})
    standing = proxy(address, speaks="redis")
    clients = [
        redis.Redis(port=standing.port, password=parts.password, protocol=protocol, socket_timeout=10)
        for protocol in (2, 3)
    ]
    yield standing, address, clients, redis_client
    for client in clients:
        client.close()


def _read(client):
    return client.get("a"), client.mget("a", "b"), client.hgetall("h"), client.exists("a")


RIGHT = (b"1.5", [b"1.5", b"text"], {b"x": b"1", b"y": b"2"}, 1)


@pytest.mark.parametrize("answer", ["empty", "stale", "slow", "wrong"])
def test_a_cache_answers_so_over_both_versions_of_its_protocol(cache, agent, make_order, until, answer):
    standing, address, clients, behind = cache
    for client in clients:
        assert _read(client) == RIGHT
    with Asks(lambda: _read(clients[0])):
        given = {"listen": standing.port, "upstream": address, "answer": answer, "speaks": "redis"}
        given |= {"latency": "100ms"} if answer == "slow" else {}
        one = agent(make_order(None, fault="dependency", options=given))
        assert one.until_event("verified").took_effect
        behind.set("a", "2.5")
        began_s = time.monotonic()
        found = _read(clients[1])
        took_s = time.monotonic() - began_s
        assert clients[1].set("written", "x")
        assert behind.get("written") == b"x"
        match answer:
            case "empty":
                assert found == (None, [None, None], {}, 0)
            case "stale":
                assert found == RIGHT
            case "slow":
                assert took_s > 0.39
            case "wrong":
                assert found[0] != b"2.5"
                assert found[2].keys() == {b"x", b"y"}
                assert all(found[2][name] != RIGHT[2][name] for name in (b"x", b"y"))
        one.stop.write_text("over")
        assert one.rest()[-1].what == "reverted"
    assert clients[1].get("a") == b"2.5"


def test_a_share_of_pipelined_commands_keeps_the_order_of_replies(cache, agent, make_order):
    standing, address, clients, behind = cache
    behind.mset({f"k{number}": str(number) for number in range(200)})
    with Asks(lambda: clients[0].get("a")):
        given = {
            "listen": standing.port,
            "upstream": address,
            "answer": "empty",
            "speaks": "redis",
            "share": "50%",
        }
        one = agent(make_order(None, fault="dependency", options=given))
        assert one.until_event("verified").took_effect
        pipe = clients[1].pipeline(transaction=False)
        for number in range(200):
            pipe.get(f"k{number}")
        found = pipe.execute()
        one.stop.write_text("over")
        one.rest()
    assert all(value in (None, str(number).encode()) for number, value in enumerate(found))
    assert 50 < found.count(None) < 150


def test_http_requests_are_answered_with_a_status_for_a_share_of_them(store, proxy, agent, make_order, until):
    """tcp-proxy's HTTP mode, with connections that stay open."""
    _, address = store
    standing = proxy(address)
    with _over_http(standing.port) as ask, _over_http(standing.port) as another, Asks(another):
        assert ask()[0] == 200
        options = {"listen": standing.port, "upstream": address, "status": 503, "share": "50%", "body": "no"}
        one = agent(make_order(None, fault="tcp-proxy", options=options))
        assert one.until_event("verified").took_effect
        found = [ask() for _ in range(60)]
        one.process.send_signal(signal.SIGKILL)
        until(lambda: standing.ask(Look()).held == "", GONE_WITHIN_S)
        after = [ask()[0] for _ in range(10)]
    assert {status for status, _ in found} == {200, 503}
    assert 10 < sum(status == 503 for status, _ in found) < 50
    assert {body for status, body in found if status == 503} == {b"no"}
    assert after == [200] * 10


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"answer": "empty", "latency": "1s"}, "go with `answer: slow`"),
        ({"answer": "stale", "body": "x"}, "body goes with `answer: empty`"),
        ({"answer": "slow", "latency": "1"}, "latency '1'"),
        ({"answer": "wrong", "share": "0%"}, "felt by nobody"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_words(options, words):
    given = msgspec.convert({"listen": 9000, "upstream": "store:80", **options}, Options)
    with pytest.raises(FaultError, match=words):
        dependency(given)
