"""Who leads and who stands by, as people are shown it; on a real Valkey."""

import os
from collections.abc import Iterator
from importlib import metadata

import msgspec
import pytest

from orchestrator.coordinator.cards import FORGOTTEN_AFTER_S, coordinators, show_card, take_card_back
from orchestrator.store.store import Store
from workers.contract.broker import names


@pytest.fixture
def stores(shared_valkey, redis_client) -> Iterator[tuple[Store, Store]]:
    """Two coordinators on one emptied server."""
    pair = Store(shared_valkey.url), Store(shared_valkey.url)
    yield pair
    for store in pair:
        store.client.close()


def look(store):
    return coordinators(store, store.now_s())


def test_nobody_leads_where_nobody_does(stores):
    found = look(stores[0])
    assert (found.epoch, found.leader, found.standbys) == (0, None, ())


def test_the_leader_and_the_standby_are_told_apart(stores):
    leader, standby = stores
    assert leader.lead()
    assert not standby.lead()
    show_card(leader, runs="s3://key:secret@bucket/runs", key="ab12cd34")
    show_card(standby, runs="/runs")
    found = look(leader)
    assert found.epoch == leader.epoch
    assert (found.leader.pid, found.leader.key) == (os.getpid(), "ab12cd34")
    assert found.leader.runs == "s3://bucket/runs", "no secret of a URL is shown"
    assert found.leader.since_s == pytest.approx(leader.now_s(), abs=5)
    assert [card.runs for card in found.standbys] == ["/runs"]


def test_the_lead_began_when_it_was_taken_however_often_the_card_is_shown(stores):
    first, second = stores
    assert first.lead()
    show_card(first, runs="/a")
    began_s = look(first).leader.since_s
    show_card(first, runs="/a")
    assert look(first).leader.since_s == began_s
    first.release()
    assert second.lead()
    show_card(second, runs="/b")
    assert look(first).leader.runs == "/b"
    assert look(first).leader.since_s > began_s


def test_a_leader_that_ended_is_shown_no_more_and_one_that_was_killed_is_no_standby(stores):
    first, second = stores
    assert first.lead()
    show_card(first, runs="/a")
    assert second.client.delete(names.LEADER)  # killed: its lease ran out
    assert look(second).leader is None
    assert look(second).standbys == ()
    show_card(second, runs="/b")
    take_card_back(second)
    assert look(first).standbys == ()


def test_cards_of_the_long_dead_are_taken_away_and_what_cannot_be_read_is_passed_over(stores):
    store, _ = stores
    show_card(store, runs="/a")
    body = store.client.hget(names.COORDINATORS, store.nonce)
    old = msgspec.json.decode(body) | {"seen_s": store.now_s() - FORGOTTEN_AFTER_S - 1}
    store.client.hset(names.COORDINATORS, mapping={"dead": msgspec.json.encode(old), "odd": b"[1]"})
    show_card(store, runs="/a")
    assert set(store.client.hkeys(names.COORDINATORS)) == {store.nonce.encode(), b"odd"}
    assert len(look(store).standbys) == 1


def test_an_upgrade_in_place_changes_neither_the_card_nor_the_coordinator(stores, monkeypatch):
    def gone(name):
        raise metadata.PackageNotFoundError(name)

    ours = metadata.version("shakeout")
    monkeypatch.setattr(metadata, "version", gone)
    assert stores[0].lead()
    show_card(stores[0], runs="/runs")
    assert look(stores[0]).leader.version == ours
