"""A campaign of more shards than one step of Redis takes: placed and sent once each, whatever happens."""

from collections import Counter
from collections.abc import Callable

import pytest

from orchestrator.coordinator.admission import Trust
from orchestrator.coordinator.opening import open_run
from orchestrator.results.results import Results
from orchestrator.store.entries import NotLeadingError
from orchestrator.store.store import FACTS_AT_ONCE, Store
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.signing import read_keys
from workers.contract.signed.trust import check_decision, sign_fact
from workers.contract.spec import ShardTask

ID = "wide-1"
SHARDS = 2 * FACTS_AT_ONCE + 7
CARDS = tuple(f.WorkerCard(f"w{n}", "one", f"host-{n}", "", SHARDS // 10 + 1, seen_s=1e12) for n in range(10))
KEYS = read_keys("ops=" + "k" * 64)
TEXT = f"""\
campaign: wide
targets:
  chat: {{protocol: openai-chat, model: m, url: "http://192.0.2.1:9"}}
phases:
  - name: only
    activities:
      - name: steady
        kind: load
        target: chat
        shards: {SHARDS}
        arrivals: {{process: constant, rate: {10 * SHARDS}/s}}
        duration: 60s
        data: {{synthetic: {{input_tokens: 8, output_tokens: 8}}}}
"""


class Wide:
    """The campaign in Redis, and what its leaders sent."""

    def __init__(self, url: str, runs: Results) -> None:
        self.url, self.runs = url, runs
        self.sent: list[ShardTask] = []
        self.before_append: Callable[[int], None] = lambda _: None
        self.appends = 0
        store = Store(url)
        said = f.Submitted(campaign=ID, text=TEXT, seed=1, at_s=store.now_s())
        store.say(ID, id_="submitted", fact=sign_fact(said, campaign=ID, keys=KEYS, now_s=said.at_s))
        store.client.zadd(names.CAMPAIGNS, {ID: 1.0})

    def leader(self):
        """Another coordinator leads, and stands where the one before stood."""
        store = Store(self.url)
        store.client.delete(names.LEADER)
        assert store.lead()
        append_all = store.append_all

        def appended(*args, **keys):
            self.appends += 1
            self.before_append(self.appends)
            return append_all(*args, **keys)

        store.append_all = appended
        send = lambda *tasks: self.sent.extend(tasks)  # noqa: E731
        return open_run(ID, store=store, results=self.runs, send=send, trust=Trust(KEYS, KEYS))

    def step(self, run) -> None:
        now_s = run.store.now_s()
        run.step(fleet=CARDS, leading_since_s=now_s, now_s=now_s)

    def check(self, run) -> None:
        """Every shard has one place and one task, and the leaders' decisions are numbered without a gap."""
        facts = [entry.fact for entry in run.store.journal(ID)]
        placed = Counter(fact.shard for fact in facts if isinstance(fact, f.Placed))
        assert placed == Counter(range(SHARDS))
        assert Counter(task.shard for task in self.sent) == placed
        signed = [fact for fact in facts if not isinstance(fact, f.Submitted | f.Accepted | f.Noted)]
        numbers = [check_decision(fact, campaign=ID, keys=KEYS) for fact in signed]
        assert numbers == list(range(1, len(signed) + 1))
        assert run.state == self.leader().state


@pytest.fixture
def wide(shared_valkey, redis_client, tmp_path) -> Wide:
    return Wide(shared_valkey.url, Results(str(tmp_path)))


def test_all_shards_are_placed_in_a_few_steps_and_sent(wide) -> None:
    run = wide.leader()
    wide.step(run)
    assert wide.appends <= 8, "one call for each fact would be a thousand"
    wide.check(run)
    wide.step(run)
    assert len(wide.sent) == SHARDS, "what was sent is not sent again"


def test_a_leader_that_loses_the_lead_in_the_middle_is_followed_by_one_that_places_the_rest(wide) -> None:
    run = wide.leader()
    others = []

    def lose_the_lead(append: int) -> None:
        if append == 4:  # accepted, opened, the first part of the places
            others.append(wide.leader())

    wide.before_append = lose_the_lead
    with pytest.raises(NotLeadingError):
        wide.step(run)
    (other,) = others
    assert (len(other.state.attempts), wide.sent) == (FACTS_AT_ONCE, [])
    wide.step(other)
    wide.check(other)


def test_a_word_that_comes_in_the_middle_is_read_and_what_is_left_decided_again(wide) -> None:
    run = wide.leader()

    def remark(append: int) -> None:
        if append in (3, 5):
            note = f.Noted(by="ada", text=f"note {append}", at_s=run.store.now_s())
            signed = sign_fact(note, campaign=ID, keys=KEYS, now_s=note.at_s)
            run.store.say(ID, id_=f"note:{append}", fact=signed)

    wide.before_append = remark
    wide.step(run)
    assert [note.text for note in run.state.notes] == ["note 3", "note 5"]
    wide.check(run)


def test_tasks_that_could_not_be_sent_are_sent_when_it_is_tried_again(wide) -> None:
    run = wide.leader()
    calls = []

    def away(*tasks: ShardTask) -> None:
        calls.append(len(tasks))
        if len(calls) == 2:
            raise ConnectionError
        wide.sent.extend(tasks)

    run.effects.send = away
    with pytest.raises(ConnectionError):
        wide.step(run)
    wide.step(run)
    wide.check(run)
