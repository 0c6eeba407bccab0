"""What a leader writes again, against a real server that has forgotten some of it."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from orchestrator.coordinator.admission import Hearing
from orchestrator.coordinator.lost_writes import Memory, recall, settles_s
from orchestrator.facts import State
from orchestrator.store.entries import Entry
from orchestrator.store.store import Store
from workers.contract import facts as f
from workers.contract.broker import names

ID = "c-1"
SAID = (
    f.Submitted(campaign=ID, text="", at_s=5.0), f.PhaseOpened(phase="only"),
    f.Placed(attempt="a:0:1", phase="p", activity="a", shard=0, of=1, number=1, worker="w", incarnation="i"),
    f.Claimed(attempt="a:0:1", worker="w", incarnation="i"), f.PhaseStarted(phase="only", start_s=7.0),
)  # fmt: skip


@dataclass
class Parts:
    """Whether its parts were named again, in whose checkpoint they may be missing."""

    named: int = 0

    def name_again(self) -> None:
        self.named += 1

    def keep_whole(self) -> None:
        self.named += 1


@dataclass
class Held:
    """As much of a campaign as `recall` looks at."""

    id: str
    entries: list[Entry] = field(default_factory=list)
    state: State = field(default_factory=State)
    intake: Parts = field(default_factory=Parts)
    finished: bool = False
    read_to: str = ""


@pytest.fixture
def store(shared_valkey, redis_client):
    made = Store(shared_valkey.url)
    assert made.lead()
    yield made
    made.client.close()


@pytest.fixture
def held(store) -> Held:
    """A campaign that lives, and whose journal its leader has read."""
    store.client.zadd(names.CAMPAIGNS, {ID: 5.0})
    for number, fact in enumerate(SAID):
        store.append(ID, last_id=store.journal_end(ID), id_=str(number), fact=fact)
    return Held(ID, store.journal(ID))


def forgets(store, held, *, after: int) -> None:
    """The server is as it was before the facts from this one on."""
    kept = held.entries[:after]
    store.client.delete(names.journal(ID), names.fact_ids(ID))
    if kept:
        store.restore(ID, last_id="0-0", entries=[("", entry) for entry in kept])


@pytest.mark.parametrize("after", range(1, 6))
def test_the_end_of_a_journal_is_written_again_as_it_was(store, held, after):
    forgets(store, held, after=after)
    assert recall(Memory(runs={ID: held}), store) == {}
    assert store.journal(ID) == held.entries
    assert held.intake.named == (after < len(SAID))


def test_an_ended_campaign_that_lives_again_is_let_go_of_by_the_leader_that_ended_it(store, held):
    held.finished = True
    assert recall(Memory(runs={ID: held}), store) == {ID: held}
    assert (held.finished, held.read_to) == (False, held.entries[-1].id)


def test_what_a_worker_says_again_is_known_by_its_id(store, held):
    forgets(store, held, after=3)
    recall(Memory(runs={ID: held}), store)
    assert store.client.sismember(names.fact_ids(ID), "a:0:1:claimed:1")


def test_what_has_come_since_stays_and_is_not_said_twice(store, held):
    forgets(store, held, after=3)
    store.say(ID, id_="a:0:1:claimed:1", fact=SAID[3])
    store.say(ID, id_="note", fact=f.Noted(by="ada", text="meanwhile"))
    recall(Memory(runs={ID: held}), store)
    said = [entry.fact for entry in store.journal(ID)]
    assert said == [*SAID[:4], f.Noted(by="ada", text="meanwhile"), SAID[4]]


def test_a_leader_whose_place_was_taken_meanwhile_writes_nothing(store, held):
    forgets(store, held, after=3)
    other = f.PhaseStarted(phase="only", start_s=9.0)
    store.append(ID, last_id=store.journal_end(ID), id_="other", fact=other)
    recall(Memory(runs={ID: held}), store)
    assert [entry.fact for entry in store.journal(ID)] == [*SAID[:3], other]


def test_an_entry_that_took_the_id_of_a_lost_one_is_not_taken_for_it(store, held):
    forgets(store, held, after=3)
    other = f.Noted(by="ada", text="the clock of this server is behind")
    body = {"f": f.encode_fact(other)}
    store.client.xadd(names.journal(ID), body, id=held.entries[3].id)
    recall(Memory(runs={ID: held}), store)
    assert [entry.fact for entry in store.journal(ID)] == [*SAID[:3], other, *SAID[3:]]


def test_one_that_is_gone_is_put_back_and_ended_whatever_is_said_meanwhile(store, held, monkeypatch):
    forgets(store, held, after=0)
    store.client.zrem(names.CAMPAIGNS, ID)
    held.hearing, held.submitted = Hearing(ID), SAID[0]
    append_all = store.append_all

    def said_meanwhile(*given, **named):
        monkeypatch.undo()
        store.say(ID, id_="note", fact=f.Noted(by="ada", text="meanwhile"))
        return append_all(*given, **named)

    monkeypatch.setattr(store, "append_all", said_meanwhile)
    assert recall(Memory(runs={ID: held}), store) == {ID: held}
    *before, noted, aborting = [entry.fact for entry in store.journal(ID)]
    assert (tuple(before), noted.text) == (SAID, "meanwhile")
    assert (aborting.verdict, store.campaigns()) == ("invalid", (ID,))


def test_a_campaign_that_has_ended_is_left_alone(store, held):
    forgets(store, held, after=0)
    store.client.zrem(names.CAMPAIGNS, ID)
    store.client.zadd(names.FINISHED, {ID: 9.0})
    assert recall(Memory(runs={ID: held}), store) == {}
    assert store.journal(ID) == []


@dataclass
class Opened:
    """As much of a campaign as `settles_s` looks at."""

    id: str
    submitted: f.Submitted
    plan: SimpleNamespace


def opened(at_s):
    said = f.Submitted(campaign=ID, text="", at_s=at_s)
    return Opened(ID, said, SimpleNamespace(fence_s=10.0))


def test_a_leader_that_has_not_lived_through_a_restart_waits_for_engines_of_before(store):
    before = opened(store.server_began_s - 0.1)
    assert settles_s(Memory(), before, store) == store.server_began_s + 10.0 + names.FENCE_MARGIN_S


def test_a_campaign_of_this_life_of_the_server_waits_for_nobody(store):
    assert settles_s(Memory(), opened(store.server_began_s), store) == 0.0


@pytest.mark.parametrize("after", [3, len(SAID)])
def test_who_has_lived_through_it_knows_that_nothing_is_missing(store, held, after):
    forgets(store, held, after=after)
    memory = Memory({ID: held})
    recall(memory, store)
    assert settles_s(memory, opened(1.0), store) == 0.0
    memory.forget()
    assert settles_s(memory, opened(1.0), store) > 0.0
