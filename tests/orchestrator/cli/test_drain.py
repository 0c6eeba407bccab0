"""What `drain` asks of a worker, whom it refuses, and how it says that nobody answered."""

import json
import secrets
import threading
import time
from importlib import import_module

import msgspec
import pytest
from typer.testing import CliRunner

from orchestrator.cli import app, confirming
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.broker.names import CARD_S
from workers.contract.facts import WorkerCard
from workers.contract.signed.drains import Drains
from workers.contract.signed.signing import read_keys

KEY = f"ada={secrets.token_hex(32)}"
PATIENCE_S = 0.5


@pytest.fixture
def desk(shared_valkey, redis_client):
    """Type commands as ada at an empty fleet."""
    assert redis_client.ping()

    def type_(*words):
        given = {"SHAKEOUT_BROKER": shared_valkey.url, "SHAKEOUT_SIGNING_KEY": KEY, "LOGNAME": "ada"}
        return CliRunner().invoke(app, words, env=given, catch_exceptions=False)

    return type_


@pytest.fixture
def show(redis_client):
    """Publish a worker's card."""

    def put(name="w1", *, silent_s=0.0, **given):
        seen_s = time.time() - silent_s
        card = WorkerCard(name, "life", f"host-{name}", "1", 2, seen_s=seen_s, pid=7, **given)
        redis_client.hset(names.WORKERS, name, msgspec.json.encode(card))

    return put


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(confirming, "CONFIRMED_WITHIN_S", PATIENCE_S)


@pytest.fixture
def busy(redis_client):
    """A campaign of which w1 runs as many shards."""

    def run(shards):
        said = [f.Submitted(campaign="c", text="campaign: c", at_s=time.time())]
        said += [
            f.Placed(attempt=f"load:{one}:1", phase="p", activity="load", shard=one, of=shards, number=1,
                     worker="w1", incarnation="life")
            for one in range(shards)
        ]  # fmt: skip
        for fact in said:
            redis_client.xadd(names.journal("c"), {"f": f.encode_fact(fact)})
        redis_client.zadd(names.CAMPAIGNS, {"c": time.time()})

    return run


@pytest.fixture
def worker(redis_client, show):
    """A worker that obeys as soon as it reads its field: it drains, and with `ends` is gone at once."""
    threads = []

    def start(*, ends=False):
        show()

        def obey():
            drains = Drains(read_keys(KEY), worker="w1", incarnation="life")
            until_s = time.monotonic() + 20
            while time.monotonic() < until_s:
                if drains.read(redis_client.hget(names.DRAIN, "w1"), now_s=time.time()) is not None:
                    show(draining=True)
                    if ends:
                        time.sleep(0.3)
                        redis_client.hdel(names.WORKERS, "w1")
                    return
                time.sleep(0.02)

        threads.append(threading.Thread(target=obey))
        threads[0].start()

    yield start
    for thread in threads:
        thread.join(20)


def test_a_worker_that_nobody_knows_cannot_be_drained_and_those_that_live_are_named(desk, show):
    show("w2")
    done = desk("drain", "w1")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no worker is called 'w1'; alive: w2" in done.stderr


def test_a_worker_that_is_gone_or_drains_already_is_refused(desk, show):
    show(silent_s=CARD_S + 60)
    done = desk("drain", "w1")
    assert done.exit_code == 2
    assert "worker w1 has been gone for" in done.stderr
    show(draining=True)
    done = desk("drain", "w1")
    assert done.exit_code == 2
    assert "worker w1 drains already; SIGTERM to pid 7 on host-w1, twice, ends it at once" in done.stderr


def test_a_worker_that_obeys_is_said_to_drain(desk, worker):
    worker()
    done = desk("drain", "w1", "--why", "a new kernel")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == ("w1 on host-w1 is draining: its loads go on elsewhere, then it ends by itself\n")


def test_with_wait_it_returns_once_the_worker_has_ended(desk, worker):
    worker(ends=True)
    done = desk("drain", "w1", "--wait", "--json", "--why", "a new kernel")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert {**told, "at_s": 0} == {
        "worker": "w1", "host": "host-w1", "pid": 7, "state": "gone", "by": "ada", "why": "a new kernel",
        "at_s": 0,
    }  # fmt: skip


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_does_not_answer_is_named_with_what_to_do(desk, show):
    show(refused=1, refused_why="a drain in Redis does not count: foreign key")
    done = desk("drain", "w1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "w1 on host-w1 has not answered" in done.stderr
    assert "foreign key" in done.stderr
    assert "SIGTERM to pid 7 there drains it too" in done.stderr


@pytest.mark.usefixtures("impatient")
def test_the_reason_is_the_one_that_the_worker_gives_for_this_order_not_for_one_before(
    desk, show, monkeypatch
):
    show(refused=1, refused_why="a halt of yesterday")
    drain = import_module("orchestrator.cli.drain")
    ask = drain._ask

    def refused(*words):
        ask(*words)
        show(refused=2, refused_why="the drain is signed with a foreign key")

    monkeypatch.setattr(drain, "_ask", refused)
    done = desk("drain", "w1")
    assert "the drain is signed with a foreign key" in done.stderr
    assert "yesterday" not in done.stderr


def test_where_the_others_have_no_room_for_its_shards_that_is_said_beforehand(desk, worker, busy):
    busy(2)
    worker()
    done = desk("drain", "w1")
    assert done.exit_code == 0
    assert "w1 runs 2 shards, the others have 0 free slots" in done.stderr


def test_where_the_others_have_room_nothing_is_said_of_it(desk, worker, busy, show):
    busy(2)
    show("w2")
    worker()
    assert "free slot" not in desk("drain", "w1").stderr


def test_fields_of_workers_that_nobody_knows_any_more_are_taken_away(desk, worker, redis_client):
    redis_client.hset(names.DRAIN, "long-gone", "x")
    worker()
    assert desk("drain", "w1").exit_code == 0
    assert redis_client.hkeys(names.DRAIN) == [b"w1"]
