"""A campaign's proxies in a real fleet: there from the first phase to the end, whoever dies in between."""

import signal
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from workers.chaos.network.proxy_wire import Look, ask, card, folder_of
from workers.contract import facts as f

PASSES_WITHIN_S = 15.0
"""Three times the 5 s that are promised."""
ASK = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
SLOW = """\
      - name: slow
        kind: chaos
        fault: tcp-proxy
        at: {at}
        for: {for_}
        where: {{at_most: 1}}
        with: {{listen: {port}, upstream: "{upstream}", latency: 300ms{more}}}
"""


class Service:
    """What is told to go through the proxy: it asks all the time, on one connection while that lasts."""

    def __init__(self, port):
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.took_s = None
        self.connections = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        line = None
        while not self._over.wait(0.02):
            began_s = time.monotonic()
            try:
                if line is None:
                    line = socket.create_connection(("127.0.0.1", self._port), timeout=10)
                    self.connections += 1
                line.sendall(ASK)
                heard = line.recv(4096)
            except OSError:
                heard = b""
            self.took_s = time.monotonic() - began_s if heard else None
            if not heard and line is not None:
                line.close()
                line = None
        if line is not None:
            line.close()

    def is_slow(self):
        return self.took_s is not None and self.took_s > 0.29

    def is_quick(self):
        return self.took_s is not None and self.took_s < 0.2


@pytest.fixture
def slow(fleet, free_port):
    """A chaos activity on a proxy before the fleet's target; its port."""

    def make(**given):
        port = free_port()
        keys = {"at": "1s", "for_": "60s", "more": "", "upstream": urlsplit(fleet.url).netloc} | given
        return port, SLOW.format(port=port, **keys)

    return make


def _is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _shown(fleet):
    """The ports of each live worker's proxies, as its card has them."""
    live = fleet.store.fleet(fleet.store.now_s())
    return [[one.port for one in worker.proxies] for worker in live]


def _home(fleet, worker):
    return fleet.folder / f"home-{worker}"


def test_a_proxy_outlives_its_worker_reverts_within_seconds_and_is_kept_by_the_next_life(fleet, slow, until):
    fleet.ensure(workers=1)
    (name,) = fleet.workers
    port, more = slow()
    campaign = fleet.submit("outlived", more=more, duration="62s", rate="10/s", shards=1)
    assert campaign.fact(f.Stationed).workers == (name,)
    folder = folder_of(_home(fleet, name), port)
    until(lambda: not _is_free(port))
    with Service(port) as service:
        until(service.is_slow)
        before = card(folder).who
        fleet.workers.pop(name).kill()
        until(service.is_quick, within_s=PASSES_WITHIN_S)
        fleet.worker(name)
        until(lambda: fleet.workers[name].said("ready"))
        until(lambda: _shown(fleet) == [[port]])
        assert ask(folder, Look()).who == before
        assert service.connections == 1
    state = campaign.state()
    (told,) = state.faults.values()
    assert [fact.what for fact in told][-1] == "reverted"
    fleet.store.say(campaign.id, id_="abort:me", fact=f.AbortAsked(by="me"))
    campaign.report()
    until(lambda: _is_free(port))
    until(lambda: not folder.exists())


def test_an_upstream_that_the_worker_may_not_reach_ends_the_campaign_at_once_in_words(fleet, slow):
    fleet.ensure(workers=1)
    _, more = slow(upstream="192.0.2.9:6379", for_="1s")
    report = fleet.submit("off-the-list", more=more, shards=1).report()
    assert report["verdict"] == "invalid"
    assert "192.0.2.9:6379 is not on this worker's allow-list" in " ".join(report["reasons"])


def test_a_proxy_passes_until_the_campaign_is_over_and_its_leader_may_die(fleet, slow, until):
    fleet.ensure(workers=2, coordinators=2)
    port, more = slow(at="3s", for_="5s")
    campaign = fleet.submit("led-anew", more=more, shards=1, duration="10s", fence="20s")
    until(lambda: not _is_free(port))
    with Service(port) as service:
        until(service.is_quick)
        campaign.fact(f.PhaseStarted)
        fleet.leader().signal(signal.SIGKILL)
        until(service.is_slow)
        report = campaign.report()
        assert service.connections == 1
    (fault,) = report["faults"]
    assert (fault["took_effect"], fault["residue"]) == (True, "")
    assert len(campaign.facts(f.Stationed)) == 1
    until(lambda: _is_free(port))
