"""What a request leaves in the book and the mark file, whatever becomes of it on the wire."""

from dataclasses import replace

import pytest

from workers.contract.behaviour import Retries
from workers.contract.spec import ShardTask
from workers.engine.arrival import Arrival
from workers.engine.book import Book, Clock
from workers.engine.ceiling import Ceiling
from workers.engine.clockmap import fixed
from workers.engine.exchange import Exchange
from workers.engine.fence import Fence
from workers.engine.markfile import MarkFile
from workers.engine.probe import Probe
from workers.engine.recorder import Recorder
from workers.engine.retries import Retrying
from workers.engine.sender import Sender
from workers.engine.watermark import read
from workers.protocols.contract import Request
from workers.protocols.select import make_protocol

POST = Request("POST", "/v2/models/m/infer", b"{}", (), stream=False)
TASK = ShardTask(
    campaign="c", activity="a", shard=0, of=1, number=1, attempt="a:0:1", worker="", incarnation="",
    spec_sha256="", kind="load", expires_s=0.0,
)  # fmt: skip


class Broken:
    """A client whose connection breaks as the first byte is to be written: no kernel does so when asked."""

    def send(self, request, headers_block, *, authorised, on_sent=None, own_lines=b""):
        exchange = Exchange()
        if authorised():
            exchange.fail("reset", "broken pipe", at_ns=1)
        return exchange

    def close(self):
        """Nothing is open."""


class Notes:
    """A witness that notes whom it saw."""

    floor_s = -1.0

    def __init__(self):
        self.seen = []

    def saw(self, arrival, request, *, asked, sample):
        self.seen.append(arrival.index)


@pytest.fixture
def sender(tmp_path):
    marks = MarkFile(str(tmp_path / "mark"), bounds=(), timeout_s=2.0)
    fence = Fence()
    fence.extend(2**62)
    return Sender(
        task=TASK,
        client=Broken(),
        protocol=make_protocol("kserve-v2", {"model": "m"}, seed=1, for_regression=False),
        fence=fence,
        book=Book(clock=Clock(fixed(0)), recorder=Recorder(()), marks=marks, first=0),
        probe=Probe(),
        block=b"",
        id_header=True,
        listener=lambda: None,
        witness=Notes(),
    )


def test_a_write_that_failed_leaves_nothing_open_while_another_try_is_waited_for(sender, tmp_path):
    arrival = Arrival(0, 0, 0, 0)
    sender.book.handed(arrival, following=1)
    assert sender.ask(arrival, POST).exchange.error == "reset"
    left = read(str(tmp_path / "mark"))
    assert left.writing is None
    assert left.seconds[0, ""].sent == 0


def test_an_answer_after_the_account_was_closed_is_told_to_nobody(sender):
    arrival = Arrival(0, 0, 0, 0)
    sender.book.handed(arrival, following=1)
    asked = sender.ask(arrival, POST)
    sender.book.seal()
    sender.book_answer(arrival, POST, asked)
    assert sender.witness.seen == []
    assert sender.book.recorder.drain_examples() == []


class Spent:
    """A client whose first request is reset by the target, and for whose next one no socket is left."""

    def __init__(self):
        self.asked = 0

    def send(self, request, headers_block, *, authorised, on_sent=None, own_lines=b""):
        exchange = Exchange()
        self.asked += 1
        if self.asked > 1:
            exchange.fail("exhausted", "too many open files", at_ns=2)
        elif authorised():
            on_sent(1)
            exchange.sent_ns = 1
            exchange.fail("reset", "connection reset by peer", at_ns=1)
        return exchange


def test_a_later_try_without_a_socket_leaves_the_request_as_the_try_before_it_ended(sender):
    sender = replace(sender, client=Spent())
    policy = Retries(
        on=("reset",), attempts=5, backoff_s=0.001, max_backoff_s=0.001, jitter="none", within_s=5.0
    )
    retrying = Retrying(policy, sender=sender, ceiling=Ceiling(None), seed=1, stopped=lambda: False)
    arrival = Arrival(0, 0, 0, 0)
    sender.book.handed(arrival, following=1)
    assert retrying.send(arrival, POST).kind == "reset"
    assert sender.book.retries.not_again == {"exhausted": 1}
    assert sender.book.retries.tries == {1: 1}
    assert [example.outcome for example in sender.book.recorder.drain_examples()] == ["reset"]
    assert [cell.outcomes for cell in sender.book.recorder.drain() if not cell.group] == [{"reset": 1}]
