"""Redis as a worker sees it, where it is away and the worker is to leave."""

import socket
import threading
import time

import pytest

from workers.clock import CommonClock
from workers.contract.errors import DrainingError
from workers.contract.spec import ShardTask
from workers.files import fetch
from workers.link import Link
from workers.settings import parse

PROMPTLY_S = 6.0
"""Three times a call that finds nobody, and its pause."""


@pytest.fixture
def away():
    """A worker's link to a Redis that is not there."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{held.getsockname()[1]}"
        yield Link(parse(["--name", "w1"], {"SHAKEOUT_BROKER": url}), incarnation="i", clock=CommonClock())


@pytest.fixture
def stop():
    """Set soon: the worker is told to leave while it waits."""
    event = threading.Event()
    timer = threading.Timer(0.5, event.set)
    timer.start()
    yield event
    timer.cancel()
    timer.join()


def task() -> ShardTask:
    return ShardTask(
        campaign="c", activity="a", shard=0, of=1, number=1, attempt="a:0:1", worker="w1", incarnation="i",
        spec_sha256="s", kind="load", expires_s=time.time() + 60.0,
    )  # fmt: skip


def test_a_worker_that_is_to_leave_claims_nothing_more(away, stop):
    began_s = time.monotonic()
    assert not away.claim(task(), stop=stop)
    assert stop.is_set()
    assert time.monotonic() - began_s < PROMPTLY_S


def test_a_worker_that_is_to_leave_waits_for_no_spec_and_no_file(away, stop, tmp_path):
    began_s = time.monotonic()
    with pytest.raises(DrainingError, match="the worker is draining"):
        away.spec(task(), stop=stop)
    with pytest.raises(DrainingError):
        fetch(away.open_client(), "0" * 64, folder=tmp_path, name="rows.jsonl", stop=stop)
    assert time.monotonic() - began_s < PROMPTLY_S
    assert list(tmp_path.iterdir()) == []
