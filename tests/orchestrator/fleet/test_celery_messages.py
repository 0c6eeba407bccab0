"""Celery's messages lost, late, doubled, and those of a campaign that is over: an attempt is done once."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil

from workers.contract import facts as f
from workers.contract.broker import names

LOST_WITHIN_S = 60.0
"""A message is waited for 10 s; asserted at more than three times that."""
HELD = "held-back"


@contextmanager
def stalled(process, client, until) -> Iterator[None]:
    """The worker stands still, and Redis has no blocked read of it to hand a message to."""
    process.signal(signal.SIGSTOP)
    still = psutil.Process(process.popen.pid)
    until(lambda: still.status() == psutil.STATUS_STOPPED)  # or it may yet ask for the next one
    sockets = still.net_connections("tcp4")
    mine = {f"{one.laddr.ip}:{one.laddr.port}" for one in sockets}
    for one in client.client_list():
        if one["addr"] in mine and one["cmd"] == "brpop":
            client.client_kill_filter(_id=one["id"])
    yield
    process.signal(signal.SIGCONT)


def test_a_message_that_is_lost_or_late_is_sent_anew_and_one_that_comes_twice_is_done_once(
    fleet, until
) -> None:
    fleet.ensure(workers=3)
    client = fleet.store.client
    loser, late, twice = sorted(fleet.workers)
    with ExitStack() as still:
        for process in fleet.workers.values():
            still.enter_context(stalled(process, client, until))
        campaign = fleet.submit("messages", shards=3, duration="3s")
        until(lambda: all(client.llen(names.queue(name)) for name in fleet.workers))
        attempts = {one.worker: one.attempt for one in campaign.facts(f.Placed)}
        assert client.delete(names.queue(loser)) == 1
        client.rename(names.queue(late), HELD)
        held = client.lindex(HELD, 0)
        client.lpush(names.queue(twice), client.lindex(names.queue(twice), 0))
    until(lambda: len(campaign.facts(f.Lost)) == 2, within_s=LOST_WITHIN_S)
    lost = campaign.facts(f.Lost)
    assert {one.attempt for one in lost} == {attempts[loser], attempts[late]}
    assert {one.fence_s for one in lost} == {0.0}
    client.lpush(names.queue(late), held)  # now it comes, and what it asks for is done elsewhere
    report = campaign.report()
    counts = campaign.agrees(report)
    assert counts["unknown"] == counts["unsent"] == 0
    claimed = {one.attempt for one in campaign.facts(f.Claimed)}
    assert attempts[twice] in claimed
    assert not claimed & {attempts[loser], attempts[late]}
    campaign.each_said_once()
    # and once more, when all is over
    before = len(campaign.facts())
    client.lpush(names.queue(late), held)
    again = fleet.submit("after-messages", shards=6, duration="1s")
    again.agrees(again.report())
    assert client.llen(names.queue(late)) == 0
    assert len(campaign.facts()) == before
    client.delete(HELD)
