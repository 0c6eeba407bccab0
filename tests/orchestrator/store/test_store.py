"""The coordinator's writes against a real Valkey.

One leads, a decision is made once, a stalled leader changes nothing.
"""

import time
from collections.abc import Iterator

import msgspec
import pytest
import redis

from orchestrator.store.entries import JournalMovedError, NotLeadingError, SaidBeforeError
from orchestrator.store.snapshot_streams import STREAMS_AT_ONCE
from orchestrator.store.store import PIECE_BYTES, Store
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.snapshot import Snapshot, encode


@pytest.fixture
def stores(shared_valkey, redis_client: redis.Redis) -> Iterator[tuple[Store, Store]]:
    """Two coordinators on one emptied server."""
    pair = Store(shared_valkey.url), Store(shared_valkey.url)
    yield pair
    for store in pair:
        store.client.close()


def note(text: str) -> f.Noted:
    return f.Noted(by="me", text=text)


def test_only_one_leads_and_the_other_takes_over_with_a_higher_epoch(stores) -> None:
    first, second = stores
    assert first.lead()
    assert not second.lead()
    assert first.lead(), "the leader keeps its lead"
    first.release()
    before = first.epoch
    assert second.lead()
    assert second.epoch > before


def test_the_lead_ends_by_itself_when_it_is_not_renewed(stores) -> None:
    first, second = stores
    assert first.lead()
    until = time.monotonic() + 3 * names.LEADER_LEASE_S
    while not second.lead():
        assert time.monotonic() < until
        time.sleep(0.05)
    with pytest.raises(NotLeadingError):
        first.append("c", last_id="0-0", id_="a", fact=note("late"))
    with pytest.raises(NotLeadingError):
        first.checkpoint("c", totals=b"{}", part="1", seqs={}, trim=())
    with pytest.raises(NotLeadingError):
        first.revoke("c", "a:0:1")
    assert first.journal("c") == []


def test_a_decision_is_appended_once_and_only_to_the_journal_that_was_folded(stores) -> None:
    leader, _ = stores
    leader.lead()
    one = leader.append("c", last_id="0-0", id_="a", fact=note("one"))
    assert one is not None
    with pytest.raises(JournalMovedError):
        leader.append("c", last_id="0-0", id_="b", fact=note("two"))
    assert leader.append("c", last_id=one, id_="a", fact=note("one again")) is None
    assert leader.say("c", id_="p", fact=note("a person's"))
    assert not leader.say("c", id_="p", fact=note("a person's"))
    assert [entry.fact for entry in leader.journal("c")] == [note("one"), note("a person's")]
    assert [entry.fact for entry in leader.journal("c", after=one)] == [note("a person's")]


def test_decisions_appended_together_come_to_what_they_come_to_one_by_one(stores) -> None:
    leader, other = stores
    leader.lead()
    facts = [(f"d{n}", note(str(n))) for n in range(5)]
    together = leader.append_all("together", last_id="0-0", facts=facts)
    last = "0-0"
    for id_, fact in facts:
        last = leader.append("alone", last_id=last, id_=id_, fact=fact) or last
    assert [entry.id for entry in leader.journal("together")] == list(together)
    assert [entry.fact for entry in leader.journal("together")] == [e.fact for e in leader.journal("alone")]
    with pytest.raises(SaidBeforeError) as said:
        leader.append_all("together", last_id=together[-1], facts=[("d1", note("x")), ("d9", note("y"))])
    assert said.value.ids == {"d1"}
    with pytest.raises(JournalMovedError):
        leader.append_all("together", last_id=together[0], facts=[("d9", note("y"))])
    leader.release()
    assert other.lead()
    with pytest.raises(NotLeadingError):
        leader.append_all("together", last_id=together[-1], facts=[("d9", note("y"))])
    assert len(leader.journal("together")) == 5


def test_results_larger_than_one_call_carries_are_stored_whole_and_only_by_the_leader(stores) -> None:
    leader, other = stores
    leader.lead()
    bodies = {"report.json": bytes(range(256)) * (PIECE_BYTES // 100), "empty.txt": b""}
    leader.finish("c", at_s=1.0, results=bodies)
    key = names.results("c")
    assert {name: leader.client.hget(key, name) for name in bodies} == bodies
    assert leader.is_finished("c")
    leader.release()
    assert other.lead()
    with pytest.raises(NotLeadingError):
        leader.finish("late", at_s=1.0, results=bodies)
    assert not leader.client.exists(names.results("late"))


def test_snapshots_of_more_streams_than_one_call_names_are_all_read_the_oldest_first(stores) -> None:
    leader, _ = stores
    streams = [("wide", shard, 1) for shard in range(STREAMS_AT_ONCE + 3)]
    pipe = leader.client.pipeline(transaction=False)
    for stream in streams:
        for seq in range(1, 8):
            pipe.xadd(names.snapshots("c", *stream), {"s": b"x"}, id=f"1-{seq}")
    pipe.execute()
    read = dict.fromkeys(streams, "0-0")
    for _ in range(7):
        for stream, id_, _ in leader.snapshots("c", read):
            assert int(id_[2:]) == int(read[stream][-1]) + (read[stream] == "0-0" or 1)
            read[stream] = id_
    assert set(read.values()) == {"1-7"}


def test_snapshots_are_read_in_order_and_trimmed_only_up_to_the_checkpoint(stores) -> None:
    leader, _ = stores
    leader.lead()
    shard = ("peak-load", 0)
    for seq in (1, 2, 3):
        snapshot = Snapshot("peak-load", 0, "peak-load:0:1", seq, 0.0, 0, 0, [], [])
        leader.client.xadd(names.snapshots("c", *shard), {"s": encode(snapshot)}, id=f"1-{seq}")
    found = list(leader.snapshots("c", {shard: "0-0"}))
    assert [id_ for _, id_, _ in found] == ["1-1", "1-2", "1-3"]
    leader.checkpoint("c", totals=b"{}", part="p1", seqs={"peak-load:0:1": 2}, trim=[(shard, "1-2")])
    assert [id_ for _, id_, _ in leader.snapshots("c", {shard: "0-0"})] == ["1-3"]
    assert leader.parts("c") == ("p1",)
    assert leader.client.hget(names.durable("c"), "peak-load:0:1") == b"2"


def test_a_worker_that_is_silent_for_too_long_is_not_of_the_fleet(stores) -> None:
    store, _ = stores
    now_s = store.now_s()
    for name, seen_s in (("b", now_s), ("a", now_s - 1), ("gone", now_s - names.CARD_S - 1)):
        card = f.WorkerCard(worker=name, incarnation="i", host="h", version="0", slots=1, seen_s=seen_s)
        store.client.hset(names.WORKERS, name, f.encode_fact(card))
    assert [card.worker for card in store.fleet(now_s)] == ["a", "b"]


def test_a_card_that_cannot_be_read_hides_no_other_worker(stores, card) -> None:
    first, _ = stores
    now_s = first.now_s()
    body = msgspec.json.encode(card("w", seen_s=now_s))
    first.client.hset(names.WORKERS, mapping={"a": b"{}", "b": b"\xff", "w": body})
    assert [one.worker for one in first.fleet(now_s)] == ["w"]
    assert first.unreadable_cards() == ("a", "b")
