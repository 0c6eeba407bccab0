"""What a worker's next life says of the last one: only what is certain."""

import json
import subprocess
import sys
import time

import msgspec
import pytest

from workers.attempts.former import forget_foreign_lives, tell_of_former_lives
from workers.attempts.register import LIFE, Life, Register, this_life
from workers.chaos.processes import look
from workers.clock import CommonClock
from workers.contract import snapshot
from workers.contract.bounds import Bound, Limit
from workers.contract.broker import names
from workers.contract.facts import Exited, decode_fact
from workers.contract.snapshot import Cell, Snapshot
from workers.contract.spec import ShardTask
from workers.engine.arrival import Arrival
from workers.engine.markfile import MarkFile
from workers.fleet.outbox import Item

CAMPAIGN, ATTEMPT = "c-1", "steady:0:1"
BOUND = Bound((Limit("latency", "<", 0.25),))
TASK = ShardTask(
    campaign=CAMPAIGN, activity="steady", shard=0, of=1, number=1, attempt=ATTEMPT, worker="w",
    incarnation="old", spec_sha256="", kind="load", expires_s=0.0,
)  # fmt: skip


@pytest.fixture
def sleeper():
    """A process that sleeps, to stand for an engine or for a worker."""
    started = []

    def start():
        process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def life(tmp_path, redis_client, sleeper):
    """A former life whose process is gone; its engine, 12 arrivals on, still sleeps."""
    return Former(tmp_path / "lives", redis_client, sleeper())


class Former:
    def __init__(self, home, client, engine):
        self.home, self.client, self.engine = home, client, engine
        self.register = Register(home, "old")
        self.register.open()
        gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.set(process=look(gone.pid).identity())
        gone.communicate()
        client.hset(names.claims(CAMPAIGN), ATTEMPT, "old")
        client.hset(names.WORKERS, "w", json.dumps({"incarnation": "old", "seen_s": time.time()}))
        self.path = self.register.mark()
        self.mark = MarkFile(str(self.path), bounds=(BOUND,), timeout_s=1.0)
        self.register.begin(TASK, pid=engine.pid, mark=self.path, timeout_s=1.0)

    def set(self, **changes):
        record = msgspec.structs.replace(this_life("old"), **changes)
        (self.register.folder / LIFE).write_bytes(msgspec.json.encode(record))

    def do(self, count, *, second=0):
        """So many arrivals are sent and answered."""
        for _ in range(count):
            arrival = Arrival(0, second * 10**9, 1, 1)
            arrival.groups = ("",)
            self.mark.handed(arrival, 12)
            self.mark.writing(arrival)
            arrival.sent_ns = 1
            self.mark.sent(arrival)
            self.mark.ended(arrival, "ok", [(1, 0, 0)])

    def report(self, seq, ok, *, written=True, sent=True):
        """A snapshot of so many good answers: in Redis, and its delivery written down or not."""
        body = snapshot.encode(
            Snapshot("steady", 0, ATTEMPT, seq, 0.0, 12, ok, [], [Cell(0, "", {"ok": ok}, {}, {})])
        )
        stream = names.snapshots(CAMPAIGN, "steady", 0)
        if sent:
            self.client.xadd(stream, {"s": body}, id=f"1-{seq}")
        if written:
            self.register.delivered(Item(CAMPAIGN, ATTEMPT, stream, f"1-{seq}", seq, body))

    def tell(self):
        tell_of_former_lives(self.home, name="w", client=self.client, clock=CommonClock())

    def said(self):
        entries = self.client.xrange(names.journal(CAMPAIGN))
        return [decode_fact(fields[b"f"]) for _, fields in entries]

    def ok(self):
        """Good answers over all snapshots in the stream."""
        found = self.client.xrange(names.snapshots(CAMPAIGN, "steady", 0))
        shots = [snapshot.decode(fields[b"s"]) for _, fields in found]
        return sum(cell.outcomes.get("ok", 0) for shot in shots for cell in shot.cells)


@pytest.mark.parametrize("written", [True, False])
def test_the_last_counts_of_a_dead_engine_are_told_once_and_whole(life, written):
    life.do(10)
    life.report(1, 4)
    life.report(2, 3, written=written)
    life.tell()
    life.engine.wait(5)
    (exited,) = life.said()
    assert (exited.outcome, exited.known, exited.dispatched, exited.last_seq) == ("died", True, 12, 3)
    assert life.ok() == 10
    assert not life.client.hexists(names.WORKERS, "w"), "its card is taken back: the name is free"
    assert not life.register.folder.exists()
    life.tell()
    assert (len(life.said()), life.ok()) == (1, 10)


def test_counts_that_cannot_be_told_exactly_are_left_unknown(life):
    life.do(10)
    life.report(1, 4, written=False)
    life.client.xtrim(names.snapshots(CAMPAIGN, "steady", 0), maxlen=0)  # a checkpoint took it
    life.tell()
    (exited,) = life.said()
    assert (exited.outcome, exited.known, exited.last_seq) == ("died", False, 0)


def test_counts_of_an_attempt_are_told_though_its_successor_reports_already(life):
    life.do(10)
    life.report(1, 4)
    life.client.xadd(names.snapshots(CAMPAIGN, "steady", 0, 2), {"s": b""}, id="2-1")
    life.tell()
    assert [fact.known for fact in life.said()] == [True]
    assert life.ok() == 10


def test_what_redis_never_got_is_in_the_closing_counts(life):
    life.do(10)
    life.report(1, 4)
    life.report(2, 3, written=False, sent=False)
    life.tell()
    assert [(fact.known, fact.last_seq) for fact in life.said()] == [(True, 2)]
    assert life.ok() == 10


def test_nothing_is_said_of_a_life_that_may_still_be_there(life, sleeper):
    life.set(process=look(sleeper().pid).identity())
    life.tell()
    assert life.said() == []
    assert life.engine.poll() is None
    assert life.register.folder.exists()


@pytest.mark.parametrize("elsewhere", [{"boot": "another boot"}, {"pid_namespace": "pid:[1]"}])
def test_pids_of_another_boot_or_container_prove_nothing(life, elsewhere):
    life.set(**elsewhere)
    life.tell()
    assert life.said() == []
    assert life.engine.poll() is None
    assert life.register.folder.exists(), "that life may go on, and see the same disk"
    forget_foreign_lives(life.home, own="new")
    assert not life.register.folder.exists()


def test_a_life_of_this_host_is_not_foreign_and_ones_own_stays_on_a_full_disk_too(life):
    forget_foreign_lives(life.home, own="new")
    (life.register.folder / LIFE).unlink()
    forget_foreign_lives(life.home, own="old")
    assert life.register.folder.exists()


def test_an_attempt_that_was_given_away_is_not_spoken_for(life):
    life.client.hset(names.claims(CAMPAIGN), ATTEMPT, "another")
    life.do(3)
    life.tell()
    assert (life.said(), life.ok()) == ([], 0)


def test_what_has_ended_and_was_told_is_not_told_again(life):
    fact = Item(CAMPAIGN, ATTEMPT, names.journal(CAMPAIGN), f"{ATTEMPT}:exited:1", 0, b"")
    life.register.delivered(fact)
    assert [path.name for path in life.register.folder.iterdir()] == [LIFE]
    life.register.close()
    assert not life.register.folder.exists()


def test_a_record_that_was_cut_short_is_passed_over(life):
    life.path.with_suffix(".json").write_bytes(b'{"campaign": "c-')
    (life.home / "no-life").mkdir()
    life.tell()
    forget_foreign_lives(life.home, own="new")
    assert life.said() == []
    assert not list(life.home.iterdir())


def test_a_life_is_known_by_boot_namespace_and_process():
    life = this_life("x")
    assert isinstance(life, Life)
    assert life.pid_namespace.startswith("pid:[")
    assert Exited(attempt="a", outcome="done").known
