"""The leader's side of schedules: once wherever a leader dies, refused with why, missed and said so."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from orchestrator.coordinator import schedule_log, scheduling
from orchestrator.coordinator.admission import Trust
from orchestrator.coordinator.scheduling import Scheduling
from orchestrator.gameday.schedules import Added, Changed, Outcome, decode_outcome, encode_word, sign_word
from orchestrator.results.results import Results
from orchestrator.store.store import Store
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.halts import Halts, Press, encode_press, sign_press
from workers.contract.signed.signing import NO_KEYS, read_keys

OPS, ADA = read_keys("ops=" + "o" * 32), read_keys("ada=" + "a" * 32)
TRUST = Trust(OPS, OPS.and_also(ADA))
AGO_S = 61.0
"""Of a schedule of every minute one run at least has been due since then, and two at most."""


class DiedError(BaseException):
    """This leader is no more."""


@pytest.fixture
def store(shared_valkey, redis_client) -> Iterator[Store]:
    made = Store(shared_valkey.url)
    assert made.lead()
    yield made
    made.client.close()


@pytest.fixture
def text(text_of, load_activity) -> str:
    return text_of(("only", load_activity))


def say(store: Store, word: Added | Changed, *, keys=ADA) -> bytes:
    body = encode_word(sign_word(word, keys=keys))
    store.client.xadd(names.SCHEDULES, {"s": body})
    return body


def added(store: Store, text: str, *, ago_s: float = AGO_S, **given: Any) -> Added:
    keys = {"name": "each", "cron": "* * * * *", "timezone": "UTC", "text": text, "by": "ada"} | given
    return Added(at_s=store.now_s() - ago_s, **keys)


def look(store: Store, scheduling: Scheduling | None = None, halts: Halts | None = None) -> Scheduling:
    one = scheduling if scheduling is not None else Scheduling(TRUST)
    one.look(store, {}, halts if halts is not None else Halts(NO_KEYS))
    return one


def outcomes(store: Store, *what: str) -> list[Outcome]:
    found = [decode_outcome(fields[b"a"]) for _, fields in store.client.xrange(names.SCHEDULE_LOG)]
    return [one for one in found if not what or one.what in what]


def submissions(store: Store) -> list[f.Submitted]:
    keys = [key.decode() for key in store.client.scan_iter(names.journal("*"))]
    said = [entry.fact for key in keys for entry in store.journal(key.split(":")[2])]
    return [fact for fact in said if isinstance(fact, f.Submitted)]


def test_a_run_that_is_due_is_submitted_with_whose_schedule_it_is(store, text) -> None:
    say(store, added(store, text, labels={"team": "chat"}))
    look(store)
    fired = outcomes(store, "fired")[0]
    said = next(one for one in submissions(store) if one.campaign == fired.campaign)
    assert (said.schedule, said.schedule_key, said.by) == ("each", str(ADA.keys[0]), "ada")
    assert (said.text, said.labels, said.due_s) == (text, {"team": "chat"}, fired.due_s)
    assert fired.campaign in store.campaigns()


def test_a_run_is_refused_while_the_last_one_of_its_schedule_still_goes(store, text) -> None:
    say(store, added(store, text))
    store.client.zadd(names.CAMPAIGNS, {"c-before": store.now_s()})
    mine = Scheduling(TRUST)
    mine.log.last["each"] = "c-before"
    look(store, mine)
    assert outcomes(store, "fired") == []
    assert {one.why for one in outcomes(store, "refused")} == {"the last run still goes: c-before"}


def dying(store: Store, after: int, monkeypatch) -> None:
    """After so many writes of a run the leader dies, right after the last of them."""
    left = after

    def until_then(call: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            answer = call(*args, **kwargs) if left else None
            left -= 1
            if left <= 0:
                raise DiedError
            return answer

        return write

    for owner, name in ((store, "say"), (store.client, "zadd"), (store, "keep_outcome"), (store, "audit")):
        monkeypatch.setattr(owner, name, until_then(getattr(owner, name)))


@pytest.mark.parametrize("after", range(1, 8))
def test_a_leader_that_dies_after_any_of_its_writes_is_followed_by_one_that_fires_once(
    store, shared_valkey, text, monkeypatch, after
) -> None:
    say(store, added(store, text))
    with monkeypatch.context() as patch, suppress(DiedError):
        dying(store, after, patch)
        look(store)
    store.client.delete(names.LEADER)
    successor = Store(shared_valkey.url)
    assert successor.lead()
    look(successor)
    look(successor)
    fired = [one.campaign for one in outcomes(store, "fired")]
    assert len(fired) == len(set(fired)) == 1
    assert [one.campaign for one in submissions(store)] == fired
    assert list(successor.campaigns()) == fired
    successor.client.close()


def test_a_leader_that_was_away_says_what_was_missed_and_begins_none_of_it(store, text) -> None:
    say(store, added(store, text, cron="* * * * *", ago_s=1800.0))
    look(store)
    missed = outcomes(store, "missed")[0]
    assert missed.count >= 27
    assert "due while no coordinator led" in missed.why
    assert len(submissions(store)) <= 1


def test_a_fleet_that_is_halted_begins_nothing_and_says_so(store, text) -> None:
    halts = Halts(ADA)
    press = sign_press(Press("ada", "stop", store.now_s()), purpose="halt", keys=ADA)
    halts.read({b"halt": encode_press(press)}, now_s=store.now_s())
    say(store, added(store, text))
    look(store, halts=halts)
    assert "halted by ada: stop" in outcomes(store, "refused")[0].why
    assert submissions(store) == []


def test_a_schedule_whose_files_are_gone_is_refused_with_what_to_do(store, text) -> None:
    say(store, added(store, text, files={"rows.jsonl": ("ab" * 32, 10)}))
    look(store)
    assert "rows.jsonl is no longer in Redis: add the schedule again" in outcomes(store, "refused")[0].why


def test_the_files_of_a_schedule_are_kept_while_it_lives(store, text) -> None:
    key = names.file_chunks("cd" * 32)
    store.client.rpush(key, b"{}")
    store.client.expire(key, 60)
    say(store, added(store, text, ago_s=0.0, files={"rows.jsonl": ("cd" * 32, 2)}))
    look(store)
    assert store.client.ttl(key) > 40 * 3600


def test_the_same_word_said_again_does_not_count(store, text) -> None:
    body = say(store, added(store, text, ago_s=0.0))
    say(store, Changed(name="each", to="removed", by="ada", at_s=store.now_s()))
    store.client.xadd(names.SCHEDULES, {"s": body})
    assert look(store).table == {}
    assert [one.why for one in outcomes(store, "doubted")] == ["it was replayed: the same was said before"]


@pytest.mark.parametrize(
    ("body", "words"), [(b"half a wo", "malformed"), (b'{"word":"added","name":"x"}', "required field")]
)
def test_what_cannot_be_read_is_doubted_and_holds_up_nothing(store, text, body, words) -> None:
    store.client.xadd(names.SCHEDULES, {"s": body})
    say(store, added(store, text))
    assert list(look(store).table) == ["each"]
    assert words in outcomes(store, "doubted")[0].why


def test_a_campaign_that_this_version_cannot_read_is_doubted(store) -> None:
    say(store, added(store, "campaign: x\n"))
    assert look(store).table == {}
    assert "phases" in outcomes(store, "doubted")[0].why


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cron": "99 * * * *"}, "Bad minute"),
        ({"timezone": "../etc/passwd"}, "no time zone"),
        ({"cron": "* * * * * *"}, "five fields"),
        ({"cron": "0 0 30 2 *"}, "day-of-month"),
        ({"jitter_s": -5.0}, "jitter"),
        ({"jitter_s": float("inf")}, ""),
    ],
)
def test_times_that_cannot_be_are_doubted_and_the_leader_goes_on(store, text, given, words) -> None:
    say(store, added(store, text, name="wrong", **given))
    say(store, added(store, text))
    assert list(look(store).table) == ["each"]
    assert words in outcomes(store, "doubted")[0].why


def test_each_word_and_each_run_is_told_once_whoever_leads(store, text) -> None:
    say(store, added(store, text))
    first = look(store)
    look(store, first)
    look(store)
    ids = [one.id for one in outcomes(store)]
    assert len(ids) == len(set(ids)) >= 2


def test_words_that_say_nothing_any_more_go_and_what_they_made_up_stays(store, text, monkeypatch) -> None:
    monkeypatch.setattr(scheduling, "WORD_COUNTS_S", -1.0)  # all are too old to be put back
    now_s = store.now_s()
    for name in ("rests", "goes-on", "again", "gone", "each"):
        say(store, added(store, text, name=name, cron="0 0 1 1 *"))
    for name, *course in (
        ("rests", "paused", "resumed", "paused"),
        ("goes-on", "paused", "resumed", "paused", "resumed"),
        ("gone", "removed"),
    ):
        for number, to in enumerate(course):
            say(store, Changed(name=name, to=to, by="ada", at_s=now_s + number))
    say(store, added(store, text, name="again", cron="0 0 2 1 *", ago_s=0.0))
    say(store, Changed(name="again", to="removed", by="ada", at_s=now_s - 30.0))  # said of the one before
    store.client.xadd(names.SCHEDULES, {"s": b"half a wo"})
    first = look(store)
    assert store.client.xlen(names.SCHEDULES) == 7
    assert not first.bodies
    for table in (first.table, look(store).table):
        assert sorted(table) == ["again", "each", "goes-on", "rests"]
        assert [name for name, one in table.items() if one.paused is not None] == ["rests"]
        assert table["goes-on"].since_s == now_s + 3
        assert table["again"].added.cron == "0 0 2 1 *"


def test_a_leader_whose_log_begins_after_a_run_does_not_call_it_missed(store, text, monkeypatch) -> None:
    monkeypatch.setattr(schedule_log, "MOST_OUTCOMES", 1)
    say(store, added(store, text, cron="* * * * *", ago_s=1_800.0))
    look(store)
    (count,) = {one.count for one in outcomes(store, "missed")}
    assert count > 20
    store.client.xtrim(names.SCHEDULE_LOG, maxlen=1, approximate=False)
    successor = look(store)
    assert outcomes(store, "missed") == []
    assert len(successor.log.told) == 1


def test_a_run_that_has_begun_is_not_begun_again_where_redis_lost_all_of_it(store, text, tmp_path) -> None:
    results = Results(str(tmp_path))
    say(store, added(store, text))
    look(store, Scheduling(TRUST, results))
    fired = {one.campaign for one in outcomes(store, "fired")}
    for id_ in fired:
        results.note_decided(id_, 3, leader="1-a", server="lost")
    for key in (names.SCHEDULE_LOG, names.SCHEDULE_LOG_IDS, names.CAMPAIGNS, *map(names.journal, fired)):
        store.client.delete(key)
    look(store, Scheduling(TRUST, results))
    assert submissions(store) == []
    said = outcomes(store, "refused")
    assert {one.why for one in said} <= {
        f"it began, and Redis lost it: what it left stands in {tmp_path}/{id_}" for id_ in fired
    }
    assert len(said) == len(fired) > 0
