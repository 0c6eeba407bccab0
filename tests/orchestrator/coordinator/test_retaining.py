"""What a leader forgets by itself: cards of workers that are long gone."""

import msgspec
import pytest

from orchestrator.coordinator.retaining import CARDS_KEPT_S, forget_workers
from orchestrator.store.store import Store
from workers.contract.broker import names
from workers.contract.facts import WorkerCard


@pytest.fixture
def store(shared_valkey, redis_client):
    """An empty Redis as a coordinator sees it."""
    found = Store(shared_valkey.url)
    yield found
    found.client.close()


def test_cards_of_workers_that_are_long_gone_are_taken_away_and_no_others(store):
    now_s = store.now_s()
    for name, seen_s in (
        ("here", now_s),
        ("gone", now_s - CARDS_KEPT_S + 60),
        ("long-gone", now_s - CARDS_KEPT_S - 1),
    ):
        card = WorkerCard(worker=name, incarnation="i", host="h", version="1", slots=1, seen_s=seen_s)
        store.client.hset(names.WORKERS, name, msgspec.json.encode(card))
    forget_workers(store)
    assert sorted(card.worker for card in store.cards()) == ["gone", "here"]
