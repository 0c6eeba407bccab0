"""Following a campaign through outages: said once, survived, and given up in time; never silent for ever."""

import threading
import time

import pytest

from orchestrator.cli import following
from orchestrator.cli.following import Follower
from orchestrator.cli.watching import Screen
from orchestrator.live.view import LiveView, encode_live
from orchestrator.store.store import Store
from workers.contract import facts as f
from workers.contract.broker import names

WITHIN_S = 40.0
ENDED = f.Ended(verdict="pass")
STOPPING = f.Aborting(by="max-time", why="too long", verdict="invalid")
ROUNDS = 10


@pytest.fixture
def journal(shared_valkey, redis_client):
    """Says facts of campaign c-1, as its leader would."""
    store = Store(shared_valkey.url)

    def say(*facts: f.Fact) -> None:
        for fact in facts:
            store.client.xadd(names.journal("c-1"), {"f": f.encode_fact(fact)})

    yield say
    store.client.close()


@pytest.fixture
def follower(shared_valkey, redis_client):
    """Follows c-1 on the shared server, in the test's own thread or another."""
    made = []

    def make(**given) -> Follower:
        store = Store(shared_valkey.url)
        made.append(store)
        return Follower(store, shared_valkey.url, "c-1", Screen(json_=False), **given)

    yield make
    for store in made:
        store.client.close()


@pytest.fixture
def beside(follower):
    """Follows c-1 in a thread, for at most `WITHIN_S`; `join` returns how it ended."""

    class Beside:
        def __init__(self, **given):
            self.until = time.monotonic() + WITHIN_S
            self.follower = follower(**given)
            self.end = None
            self.thread = threading.Thread(target=self.run)
            self.thread.start()

        def run(self):
            self.end = self.follower.follow(enough=lambda: time.monotonic() > self.until)

        def join(self):
            self.thread.join(WITHIN_S + 5)
            return self.end

    return Beside


@pytest.fixture
def until():
    def wait(what):
        until_s = time.monotonic() + WITHIN_S
        while not what():
            assert time.monotonic() < until_s
            time.sleep(0.01)

    return wait


def finish(client) -> None:
    client.zadd(names.FINISHED, {"c-1": time.time()})


def test_each_thing_that_a_person_waits_for_is_a_line_and_the_end_waits_for_the_results(
    journal, beside, redis_client, until, capsys
):
    journal(
        f.Submitted(campaign="c-1", text=""),
        f.PhaseStarted(phase="peak", start_s=1.0),
        f.Noted(by="ada", text="the pager rings"),
        f.Refused(what="abort", by="eve", why="foreign key"),
        f.TaskRefused(attempt="load:0:1", worker="w2", why="unsigned"),
        f.Yielded(attempt="load:0:1", until_s=12.3),
        f.Resumed(attempt="load:0:2", from_s=12.3),
        f.Exited(attempt="load:0:1", outcome="stopped", why="handed over"),
        f.Exited(attempt="load:0:2", outcome="stopped", why="draining: no successor was ready within 10 s"),
        f.Exited(attempt="load:0:3", outcome="done"),
        f.PhaseEnded(phase="peak", verdict="fail", reasons=("too slow",)),
        ENDED,
    )
    one = beside()
    until(lambda: one.follower.state.ended is not None)
    assert one.thread.is_alive()
    finish(redis_client)
    assert one.join().fact == ENDED
    assert capsys.readouterr().out.splitlines() == [
        "phase peak: started",
        "note by ada: the pager rings",
        "refused: abort of eve: foreign key",
        "load:0:1: worker w2 refused a task: unsigned",
        "load:0:1: hands over at 12.3 s of the phase",
        "load:0:2: takes over from 12.3 s of the phase on",
        "load:0:2: stopped, draining: no successor was ready within 10 s",
        "phase peak: fail",
        "  too slow",
    ]


def test_an_outage_is_said_once_and_its_end_too(journal, beside, redis_client, shared_valkey, until, capsys):
    journal(f.Submitted(campaign="c-1", text=""))
    one = beside(lost_after_s=WITHIN_S)
    until(lambda: one.follower.state.submitted is not None)
    shared_valkey.pause()
    said = []

    def told(words):
        said.append(capsys.readouterr().err)
        return words in "".join(said)

    try:
        until(lambda: told("trying again"))
        until(lambda: one.follower._away.lasts_s() > 2)
    finally:
        shared_valkey.resume()
    journal(ENDED)
    finish(redis_client)
    assert one.join().fact == ENDED
    said.append(capsys.readouterr().err)
    assert "".join(said).splitlines() == [
        "shakeout: Redis does not answer, trying again",
        "shakeout: Redis is back",
    ]


def test_contact_is_lost_in_time_and_says_why(journal, beside, shared_valkey, until):
    journal(f.Submitted(campaign="c-1", text=""))
    one = beside(lost_after_s=1.0)
    until(lambda: one.follower.state.submitted is not None)
    shared_valkey.pause()
    try:
        end = one.join()
    finally:
        shared_valkey.resume()
    assert end.fact is None
    assert "no contact for" in end.lost
    assert "127.0.0.1" in end.lost


def test_a_wrong_login_is_not_tried_for_a_minute(shared_valkey, capsys):
    broker = shared_valkey.url.replace("@", "x@")
    one = Follower(Store(broker), broker, "c-1", Screen(json_=False))
    before = time.monotonic()
    with pytest.raises(Exception, match=r"(?i)password"):
        one.follow(enough=lambda: False)
    assert time.monotonic() - before < WITHIN_S
    assert capsys.readouterr().err == ""


def test_that_nobody_leads_is_said_with_the_way_out_and_said_again(
    journal, beside, monkeypatch, until, capsys
):
    monkeypatch.setattr(following, "LEADERLESS_AFTER_S", 0.5)
    monkeypatch.setattr(following, "LOOK_ROUND_EVERY_S", 0.1)
    monkeypatch.setattr(following, "REMIND_EVERY_S", 1.0)
    journal(f.Submitted(campaign="c-1", text=""))
    one = beside(leads="start one with `shakeout coordinator`")
    said = []

    def twice():
        said.extend(capsys.readouterr().err.splitlines())
        return len(said) >= 2

    until(twice)
    one.until = 0
    one.join()
    assert all("no coordinator leads for" in line for line in said)
    assert all(line.endswith("the campaign waits: start one with `shakeout coordinator`") for line in said)


def test_a_campaign_that_redis_forgot_is_lost_and_not_waited_for(
    journal, beside, redis_client, monkeypatch, until
):
    monkeypatch.setattr(following, "FORGOTTEN_AFTER_S", 0.5)
    monkeypatch.setattr(following, "LOOK_ROUND_EVERY_S", 0.1)
    journal(f.Submitted(campaign="c-1", text=""))
    one = beside()
    until(lambda: one.follower.state.submitted is not None)
    redis_client.flushall()
    assert "knows nothing of c-1 any more" in one.join().lost


def test_a_campaign_whose_end_was_taken_from_its_journal_is_not_waited_for(
    journal, beside, redis_client, monkeypatch
):
    monkeypatch.setattr(following, "FORGOTTEN_AFTER_S", 0.5)
    monkeypatch.setattr(following, "LOOK_ROUND_EVERY_S", 0.1)
    journal(f.Submitted(campaign="c-1", text=""))
    redis_client.set(names.live("c-1"), b"[" * 100_000)  # nor is a picture that cannot be read the end of it
    finish(redis_client)
    assert "knows nothing of c-1 any more" in beside().join().lost


@pytest.fixture
def overdue(journal, follower, redis_client, monkeypatch):
    """How following ends, or how it stands after some rounds, with a time that was over so long ago."""
    monkeypatch.setattr(following, "LOOK_ROUND_EVERY_S", 0.0)

    def follow(over_s, *facts):
        seconds, _ = redis_client.time()
        journal(f.Submitted(campaign="c-1", text="", at_s=seconds - 60.0 - over_s, max_time_s=60.0), *facts)
        rounds = iter(range(ROUNDS))
        return follower().follow(enough=lambda: next(rounds, None) is None)

    return follow


@pytest.mark.parametrize("facts", [(), (STOPPING,)])
def test_a_time_that_was_over_long_ago_is_not_waited_for_where_nobody_leads(overdue, facts):
    assert "no coordinator leads that could end it" in overdue(40.0, *facts).lost


def test_nor_where_the_leader_does_nothing(overdue, redis_client):
    redis_client.hset(names.LEADER, "epoch", 1)
    assert "the coordinator does not end it" in overdue(40.0).lost


def test_a_campaign_that_is_being_ended_or_was_over_just_now_is_waited_for(overdue, redis_client):
    assert overdue(1.0) == following.End()
    redis_client.hset(names.LEADER, "epoch", 1)
    redis_client.delete(names.journal("c-1"))
    assert overdue(40.0, STOPPING) == following.End()


def test_what_shards_wait_for_is_said_once_while_they_wait(journal, beside, redis_client, until, capsys):
    journal(f.Submitted(campaign="c-1", text=""))
    view = LiveView(
        campaign="c-1", at_s=1.0, phase="peak", phase_number=1, phases=1, elapsed_s=0.0, activities=(),
        verdicts={}, waits=("load: 3 shards need 3 slots, 0 are free",),
    )  # fmt: skip
    redis_client.set(names.live("c-1"), encode_live(view))
    one = beside()
    said = []
    until(lambda: said.append(capsys.readouterr().out) or "waiting" in "".join(said))
    journal(f.PhaseStarted(phase="peak", start_s=1.0), ENDED)
    finish(redis_client)
    assert one.join().fact == ENDED
    assert ("".join(said) + capsys.readouterr().out).splitlines() == [
        "waiting: load: 3 shards need 3 slots, 0 are free",
        "phase peak: started",
    ]


def test_what_a_campaign_waits_for_before_its_turn_is_said_as_soon_as_it_is_something_else(
    journal, beside, redis_client, until, capsys
):
    journal(f.Submitted(campaign="c-1", text=""))

    def waits_for(words):
        view = LiveView(
            campaign="c-1", at_s=1.0, phase="", phase_number=0, phases=1, elapsed_s=0.0, activities=(),
            verdicts={}, waits=(words,),
        )  # fmt: skip
        redis_client.set(names.live("c-1"), encode_live(view))

    waits_for("waits for campaign a-1 (by ada), which holds target http://chat")
    one = beside()
    said = []
    until(lambda: said.append(capsys.readouterr().out) or "a-1" in "".join(said))
    waits_for("waits for slots: load: 3 shards need 3 slots")
    until(lambda: said.append(capsys.readouterr().out) or "for slots" in "".join(said))
    journal(ENDED)
    finish(redis_client)
    assert one.join().fact == ENDED
    assert "".join(said).splitlines() == [
        "waits for campaign a-1 (by ada), which holds target http://chat",
        "waits for slots: load: 3 shards need 3 slots",
    ]
