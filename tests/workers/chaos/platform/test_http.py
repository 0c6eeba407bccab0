"""A platform's own fault API: what it was asked stands in its own log, whoever is killed when."""

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from workers.chaos.contract import HostRules
from workers.chaos.ledger import reconcile
from workers.chaos.run import plan
from workers.contract.errors import FaultError, TargetRefusedError

PROMISE_S = 5.0
SECRET = "tell-nobody-4712"


class Platform(ThreadingHTTPServer):
    """Faults by name; all that was asked. `ill`: what a DELETE is answered with instead; `slow_s`: of GET."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Api)
        self.faults, self.log, self.ill, self.slow_s = {}, [], 0, 0.0
        self.url = f"http://127.0.0.1:{self.server_port}/faults"

    def handle_error(self, *_):
        """A client that was killed while it waited for its answer is meant."""


class Api(BaseHTTPRequestHandler):
    """GET, PUT and DELETE of /faults/NAME."""

    server: Platform

    def _seen(self):
        size = int(self.headers.get("content-length", 0))
        body = self.rfile.read(size)
        self.server.log.append((self.command, self.path, self.headers.get("authorization"), body))
        return self.path.rpartition("/")[2], body

    def _say(self, status, body=b"{}"):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        name, _ = self._seen()
        time.sleep(self.server.slow_s)
        known = name in self.server.faults
        self._say(200 if known else 404, self.server.faults.get(name, b"no such fault"))

    def do_PUT(self):
        name, body = self._seen()
        self.server.faults[name] = body
        self._say(201)

    def do_DELETE(self):
        name, _ = self._seen()
        if self.server.ill:
            self._say(self.server.ill, b"busy with " + str(self.headers.get("authorization")).encode())
            return
        self._say(204 if self.server.faults.pop(name, None) is not None else 404, b"")

    def log_message(self, *_):
        """Nothing on stderr."""


@pytest.fixture
def platform():
    with Platform() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def order(make_order, platform):
    def make(for_s=30.0, headers=None, rules=HostRules(worker="w1"), **options):  # noqa: B008
        url = f"{platform.url}/slow-$SHAKEOUT_FAULT"
        usual = {
            "inject": {"method": "PUT", "url": url, "body": {"kind": "slow", "by": "$SHAKEOUT_FAULT"}},
            "verify": {"method": "GET", "url": url, "contains": "slow"},
            "revert": {"method": "DELETE", "url": url},
        }
        for call in usual.values():
            call["headers"] = headers or {}
        options = {**usual, "every": "100ms", **options}
        return make_order(None, fault="http", for_s=for_s, limit_s=60.0, options=options, rules=rules)

    return make


def test_a_platform_is_asked_to_break_to_tell_and_to_mend(platform, order, agent):
    one = agent(order(for_s=1.0))
    one.until_event("injected")
    (injected,) = (entry for entry in platform.log if entry[0] == "PUT")
    name, body = injected[1].rpartition("/")[2], injected[3]
    assert json.loads(body) == {"kind": "slow", "by": name.removeprefix("slow-")}
    assert one.until_event("verified").took_effect
    (reverted,) = one.rest()
    assert (reverted.what, reverted.took_effect, reverted.why) == ("reverted", True, "")
    assert platform.faults == {}
    assert [entry[0] for entry in platform.log if entry[0] != "GET"] == ["PUT", "DELETE"]


def test_it_is_mended_when_the_agent_is_killed_in_the_middle(platform, order, agent, until):
    one = agent(order(headers={"authorization": "Bearer ${env:API_TOKEN}"}), API_TOKEN=SECRET)
    assert one.until_event("verified").took_effect
    (entry,) = one.open_entries()
    assert SECRET not in entry.read_text()
    one.process.kill()
    until(lambda: not platform.faults, PROMISE_S)
    until(lambda: not one.open_entries() and not one.guardians(), PROMISE_S)
    one.process.wait(PROMISE_S)
    assert {entry[2] for entry in platform.log} == {f"Bearer {SECRET}"}
    assert [found.by for found in reconcile(one.ledger)] == ["guardian"]


def test_it_is_mended_by_the_next_life_when_guardian_and_agent_are_killed(platform, order, agent):
    one = agent(order())
    one.until_event("verified")
    one.process.send_signal(signal.SIGSTOP)
    os.kill(one.guardians()[0], signal.SIGKILL)
    one.process.kill()
    one.process.wait(PROMISE_S)
    assert platform.faults
    assert [found.by for found in reconcile(one.ledger)] == ["next worker"]
    assert platform.faults == {}


def test_a_revert_that_is_refused_is_told_and_tried_again(platform, order, agent, until):
    platform.ill = 503
    one = agent(order(for_s=0.5, headers={"authorization": "${env:API_TOKEN}"}), API_TOKEN=SECRET)
    residue = one.until_event("residue")
    assert "answered 503: busy with ***" in residue.why
    platform.ill = 0
    assert one.rest()[-1].what == "reverted"
    assert platform.faults == {}


def test_a_platform_that_forgets_the_fault_early_is_noticed(platform, order, agent, until):
    one = agent(order())
    one.until_event("verified")
    platform.faults.clear()
    looked = len(platform.log)
    until(lambda: len(platform.log) > looked + 2)
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", False)
    assert "not in effect" in reverted.why
    assert "answered 404: no such fault" in reverted.why


def test_a_stop_does_not_wait_for_a_slow_answer(platform, order, agent, until):
    one = agent(order(within="30s"))
    one.until_event("verified")
    platform.slow_s = 2.0
    looked = len(platform.log)
    until(lambda: len(platform.log) > looked)
    start_s = time.monotonic()
    one.stop.write_text("enough")
    until(lambda: not platform.faults, 3 * PROMISE_S)
    print(f"mended {time.monotonic() - start_s:.2f} s after the stop")
    platform.slow_s = 0.0
    assert one.rest()[-1].what == "reverted"


def test_an_inject_that_is_refused_is_a_fault_that_failed(platform, order, agent):
    url = f"{platform.url}/x"
    failed = agent(order(inject={"method": "DELETE", "url": url, "status": [200]})).rest()[-1]
    assert failed.what == "failed"
    assert f"inject: DELETE {url} answered 404" in failed.why


def test_a_host_off_the_allow_list_is_not_called(order, tmp_path):
    away = {"method": "DELETE", "url": "http://192.0.2.7:8080/faults/x"}
    with pytest.raises(TargetRefusedError, match="not on this worker's allow-list"):
        plan(order(revert=away), ledger=tmp_path)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"method": "GET", "url": "ftp://platform/x"}, "say for example http://"),
        ({"method": "GET", "url": "http://127.0.0.1:1/${env:TOKEN}"}, "no secret may stand in a URL"),
        ({"method": "EAT", "url": "http://127.0.0.1:1/"}, "EAT"),
        ({"method": "GET", "url": "http://127.0.0.1:1/"}, "was not answered within 5 s"),
        ({"method": "GET", "url": "http://no-such-host.invalid/"}, "leads to no address"),
        ({"method": "GET"}, "url"),
    ],
)
def test_a_call_that_cannot_be_made_is_refused_in_words(order, tmp_path, call, words):
    with pytest.raises(FaultError, match=words):
        plan(order(verify=call), ledger=tmp_path)
