"""Reading Redis for people: journals of any length, what cannot be read, what has expired."""

from collections.abc import Iterator

import pytest

from orchestrator.overview import read
from orchestrator.store.store import Store
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.signing import read_keys


@pytest.fixture
def store(shared_valkey, redis_client) -> Iterator[Store]:
    one = Store(shared_valkey.url)
    yield one
    one.client.close()


def submit(store, id_, *, at_s, **labels):
    fact = f.Submitted(campaign=id_, text="", by="ada", labels=labels, at_s=at_s)
    store.say(id_, id_="submitted", fact=fact)
    store.client.zadd(names.CAMPAIGNS, {id_: at_s})


def end(store, id_, *, at_s):
    store.say(id_, id_="ended", fact=f.Ended(verdict="pass", at_s=at_s))
    store.client.zrem(names.CAMPAIGNS, id_)
    store.client.zadd(names.FINISHED, {id_: at_s})


def lines(store, *, limit=10, **labels):
    return read.campaign_lines(store, labels=labels, limit=limit)


@pytest.mark.parametrize("page", [1, 2, 3, 4, 100])
def test_a_journal_is_read_whole_whatever_its_length(store, monkeypatch, page):
    monkeypatch.setattr(read, "PAGE", page)
    for number in range(4):
        store.say("c", id_=str(number), fact=f.Noted(by="me", text=str(number)))
    assert [fact.text for _, fact in read.read_facts(store, "c")] == ["0", "1", "2", "3"]


def test_what_another_version_wrote_is_passed_over_and_the_rest_is_shown(store):
    now_s = store.now_s()
    submit(store, "c", at_s=now_s)
    store.client.xadd(names.journal("c"), {"f": b'{"fact":"nobody-knows-this"}'})
    store.client.set(names.live("c"), b"[1]")
    store.client.hset(names.WORKERS, mapping={"odd": b'{"worker": 1}'})
    picture = read.fleet_picture(store, keys=read_keys(""))
    assert [(line.id, line.state) for line in picture.campaigns] == [("c", "submitted")]
    assert picture.workers == ()
    assert read.summary_of(store, "c").unread == 1


def test_the_newest_come_first_and_labels_choose_before_the_limit_does(store):
    now_s = store.now_s()
    for number, team in enumerate(("chat", "rank", "chat", "rank")):
        submit(store, f"c{number}", at_s=now_s + number, team=team)
    end(store, "c1", at_s=now_s + 50)
    assert [line.id for line in lines(store)] == ["c3", "c2", "c1", "c0"]
    assert [line.id for line in lines(store, limit=2, team="chat")] == ["c2", "c0"]
    assert [(line.state, line.verdict) for line in lines(store, team="rank")] == [
        ("submitted", ""),
        ("over", "pass"),
    ]
    assert lines(store, team="none") == ()


def test_a_campaign_is_live_finished_expired_or_unknown(store):
    now_s = store.now_s()
    for id_ in ("live", "finished", "expired"):
        submit(store, id_, at_s=now_s)
    end(store, "finished", at_s=now_s)
    end(store, "expired", at_s=now_s - names.RESULTS_KEPT_S - 60)
    store.client.delete(names.journal("expired"))
    places = ["live", "finished", "expired", "unknown"]
    assert [read.whereabouts(store, id_) for id_ in places] == places
    assert read.known_ids(store) == ("live", "finished")


def test_slots_are_held_by_loads_and_not_by_faults(store):
    now_s = store.now_s()
    card = f.WorkerCard(worker="w", incarnation="i", host="h", version="0", slots=3, seen_s=now_s)
    store.client.hset(names.WORKERS, "w", f.encode_fact(card))
    submit(store, "c", at_s=now_s)
    for activity in ("load", "hang"):
        fact = f.Placed(
            attempt=f"{activity}:0:1", phase="p", activity=activity, shard=0, of=1, number=1, worker="w",
            incarnation="i",
        )  # fmt: skip
        store.say("c", id_=activity, fact=fact)
    assert [(one.used, one.free) for one in read.read_workers(store)] == [(2, 1)], "nothing is known of kinds"
    view = (
        b'{"campaign":"c","at_s":1,"phase":"p","phase_number":1,"phases":1,"elapsed_s":1,"verdicts":{},'
        b'"activities":[{"key":"hang","kind":"chaos","state":"injected","share":0,"shards":1,"sent":0,"ok":0,'
        b'"failed":0,"rate_per_s":0,"p50_s":null,"p99_s":null}]}'
    )
    store.client.set(names.live("c"), view)
    assert [(one.used, one.free) for one in read.read_workers(store)] == [(1, 2)]
