"""Faults that a dead worker held: their campaign hears once that they are undone, or of what is left."""

import time

import msgspec
import pytest

from workers.attempts.former_faults import tell_of_faults
from workers.chaos.contract import Scene
from workers.chaos.ledger import Entry
from workers.chaos.processes import boot_id, look
from workers.clock import CommonClock, boot_ns
from workers.contract.broker import names
from workers.contract.facts import FaultSeen, decode_fact

CAMPAIGN, ATTEMPT = "c-1", "hang:0:1"


@pytest.fixture
def entry():
    """A fault that its guardian undid two seconds ago."""
    here = look(1).identity()
    return Entry(
        attempt=f"{CAMPAIGN} {ATTEMPT}", name="hang", fault="pause-process", options={},
        scene=Scene("k", "/nonexistent/own", 0.0),
        agent=here, boot=boot_id(), deadline_s=0.0, reverted_s=boot_ns() / 1e9 - 2.0, by="guardian",
        why="its agent was gone", did={"sent": 3},
    )  # fmt: skip


@pytest.fixture
def said(redis_client):
    """Tell of entries; what stands in the journal then."""
    clock = CommonClock()
    clock.measure(redis_client, server="one")

    def tell(*entries):
        tell_of_faults(entries, client=redis_client, clock=clock)
        return [decode_fact(body[b"f"]) for _, body in redis_client.xrange(names.journal(CAMPAIGN))]

    return tell


def test_its_campaign_hears_once_when_a_fault_was_undone(entry, said, redis_client):
    redis_client.hset(names.claims(CAMPAIGN), ATTEMPT, "a former life")
    said(entry)
    (fact,) = said(entry)
    assert isinstance(fact, FaultSeen)
    assert (fact.attempt, fact.what, fact.why) == (ATTEMPT, "reverted", "its agent was gone")
    assert fact.did == {"sent": 3}
    assert 1.5 < time.time() - fact.at_s < 20


def test_what_is_left_of_one_that_could_not_be_undone_is_told(entry, said, redis_client):
    redis_client.hset(names.claims(CAMPAIGN), ATTEMPT, "a former life")
    (fact,) = said(msgspec.structs.replace(entry, reverted_s=None, why="pid 7 is still stopped"))
    assert (fact.what, fact.why) == ("residue", "pid 7 is still stopped")


def test_of_one_that_was_but_prepared_its_campaign_hears_that_it_never_began(entry, said, redis_client):
    redis_client.hset(names.claims(CAMPAIGN), ATTEMPT, "a former life")
    (fact,) = said(msgspec.structs.replace(entry, began=False))
    assert (fact.what, fact.took_effect) == ("failed", False)
    assert fact.why == "not injected: its worker ended while it was being prepared"


def test_of_a_campaign_that_is_forgotten_nothing_is_said(entry, said):
    assert said(entry) == []


def test_where_redis_is_away_the_worker_starts_all_the_same(entry, valkey, caplog):
    server = valkey()
    client = server.client()
    client.ping()
    server.stop()
    tell_of_faults([entry], client=client, clock=CommonClock())
    assert "its campaign is not told" in caplog.text
