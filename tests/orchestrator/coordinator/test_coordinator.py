"""The loop's own part: who leads, on what terms, and who may only stand by; on a real Valkey."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.campaign.load import load_campaign
from orchestrator.coordinator.coordinator import (
    LONGEST_STEP_S,
    SAME_RUNS_WITHIN_S,
    Coordinator,
    _hold_lead,
    _keep_lead,
    _tick,
)
from orchestrator.coordinator.opening import open_run
from orchestrator.coordinator.turns import Turns
from orchestrator.errors import UsageError
from orchestrator.results.results import Results
from orchestrator.store.store import Store
from orchestrator.submit.submit import submit
from workers.contract.broker import names

WITHIN_S = 20.0
PLACELESS = """\
campaign: placeless
place_within: 1s
targets:
  chat: {protocol: openai-chat, model: demo, url: "http://127.0.0.1:9"}
phases:
  - name: only
    activities:
      - name: load
        kind: load
        target: chat
        arrivals: {process: constant, rate: 10/s}
        duration: 1s
        data: {synthetic: {input_tokens: 4, output_tokens: 2}}
"""


@pytest.fixture
def coordinators(shared_valkey, redis_client, tmp_path: Path) -> Iterator[tuple[Coordinator, Coordinator]]:
    """Two on one emptied server, with the same runs."""
    runs = Results(str(tmp_path / "runs"))
    pair = tuple(Coordinator(Store(shared_valkey.url), runs, lambda *_: None) for _ in range(2))
    yield pair
    for one in pair:
        one.store.client.close()


def test_who_leads_again_after_nobody_did_trusts_no_lease_of_before(coordinators) -> None:
    me, _ = coordinators
    assert _keep_lead(me)
    me.runs["c-1"], me.leading_since_s, me.led_at = None, 1.0, 0.0
    me.store.client.delete(names.LEADER)  # its lease ran out: no worker could renew in the meantime
    assert _keep_lead(me)
    assert me.leading_since_s == pytest.approx(me.store.now_s(), abs=5)
    assert me.runs == {}


def test_another_server_means_a_higher_epoch_and_a_journal_read_afresh(coordinators, monkeypatch) -> None:
    me, _ = coordinators
    assert _keep_lead(me)
    before = me.store.epoch
    me.runs["c-1"], me.led_at = None, 0.0
    monkeypatch.setattr(Store, "run_id", lambda _: "another")
    assert _keep_lead(me)
    assert me.store.epoch > before
    assert me.runs == {}


def test_a_standby_that_cannot_read_the_leaders_runs_refuses(coordinators, tmp_path) -> None:
    leader, standby = coordinators
    assert _keep_lead(leader)
    for since_s in (0.0, SAME_RUNS_WITHIN_S + 1):
        standby.standby_since_s = time.monotonic() - since_s
        assert not _keep_lead(standby), "the same runs: it may stand by"
    standby.results = Results(str(tmp_path / "elsewhere"))
    standby.standby_since_s = time.monotonic()
    assert not _keep_lead(standby), "the leader may not have marked its runs yet"
    standby.standby_since_s = time.monotonic() - SAME_RUNS_WITHIN_S - 1
    with pytest.raises(UsageError, match="say the same --runs"):
        _keep_lead(standby)
    leader.store.release()
    assert _keep_lead(standby), "where nobody leads its runs are the fleet's"
    assert standby.results.marker() == standby.store.marker() != ""


def test_a_step_that_takes_longer_than_the_lease_does_not_cost_the_lead_unless_it_hangs(coordinators) -> None:
    me, _ = coordinators
    assert _keep_lead(me)
    stop = threading.Event()
    holds = threading.Thread(target=_hold_lead, args=(me, stop))
    holds.start()
    try:
        me.leading_since_s, me.ticked_at = 1.0, time.monotonic() - 5
        while not me.store.client.pexpire(names.LEADER, 3_600_000):  # a renewal gives it a lease, no more
            assert me.store.lead()
        until_s = time.monotonic() + WITHIN_S
        while me.store.client.pttl(names.LEADER) > names.LEADER_LEASE_S * 1000:
            assert time.monotonic() < until_s, "the lead is not renewed while a step lasts"
            time.sleep(0.01)
        me.ticked_at = time.monotonic() - LONGEST_STEP_S
        me.store.client.pexpire(names.LEADER, 1000)
        while me.store.client.exists(names.LEADER):
            assert time.monotonic() < until_s, "a loop that hangs keeps the lead"
            time.sleep(0.01)
    finally:
        stop.set()
        holds.join()


@pytest.mark.parametrize(
    ("error", "runs", "most"),
    [
        (ValueError("a broken page"), "memory://runs", 5),
        (OSError("the disk is full"), "", 5),
        (OSError("the store is away"), "memory://runs", 30),
    ],
)
def test_a_campaign_whose_results_cannot_be_written_is_given_up_in_the_end(
    coordinators, monkeypatch, tmp_path, error, runs, most
) -> None:
    me, _ = coordinators
    me.results = Results(runs or str(tmp_path / "runs"))
    tries = []

    def fails(_: object, outcome: object) -> None:
        tries.append(outcome)
        raise error

    monkeypatch.setattr(Results, "write", fails)
    for pause in ("guarding.REST_S", "coordinator.TICK_S"):
        monkeypatch.setattr(f"orchestrator.coordinator.{pause}", 0.01)
    file = tmp_path / "placeless.yaml"
    file.write_text(PLACELESS)
    assert _keep_lead(me)
    me.inbox = "0-0"
    submit(load_campaign(file), store=me.store, id_="c-1", seed=1, by="tests", urls={})
    until_s = time.monotonic() + WITHIN_S
    while me.store.campaigns():
        assert time.monotonic() < until_s, "it is tried again for ever"
        assert _keep_lead(me)
        _tick(me)
    assert len(tries) == most
    assert str(error).encode() in me.store.client.hget(names.results("c-1"), "error.txt")


def test_an_operators_limit_refuses_a_campaign_that_offers_more(coordinators, tmp_path) -> None:
    me, _ = coordinators
    me.turns = Turns({"127.0.0.1:9": 5.0})
    file = tmp_path / "placeless.yaml"
    file.write_text(PLACELESS)
    assert _keep_lead(me)
    submit(load_campaign(file), store=me.store, id_="c-1", seed=1, by="tests", urls={})
    _tick(me)
    assert not me.store.campaigns()
    last = me.store.journal("c-1")[-1].fact
    assert last.verdict == "refused"
    assert "the operator of this fleet limits http://127.0.0.1:9 to 5/s" in last.reasons[0]


def test_none_begins_while_it_is_not_known_what_another_holds(coordinators, tmp_path, monkeypatch) -> None:
    me, _ = coordinators
    monkeypatch.setattr("orchestrator.coordinator.guarding.REST_S", 60.0)
    file = tmp_path / "placeless.yaml"
    file.write_text(PLACELESS)
    assert _keep_lead(me)
    for id_ in ("c-1", "c-2"):
        submit(load_campaign(file), store=me.store, id_=id_, seed=1, by="tests", urls={})

    def breaks(id_: str, **given: object) -> object:
        if id_ == "c-1":
            raise OSError("its parts cannot be read")
        return open_run(id_, **given)

    monkeypatch.setattr("orchestrator.coordinator.coordinator.open_run", breaks)
    _tick(me)
    assert me.turns.found == {
        "c-2": "waits until campaign c-1 has been read again: what it holds is not known yet"
    }
    assert not me.runs["c-2"].state.phases
    me.store.client.zrem(names.CAMPAIGNS, "c-1")
    _tick(me)
    assert me.turns.found == {}
    assert me.runs["c-2"].state.phases


def test_files_of_a_campaign_that_waits_do_not_expire_before_its_turn(coordinators, tmp_path) -> None:
    me, _ = coordinators
    (tmp_path / "rows.jsonl").write_text('{"prompt": "one"}\n')
    file = tmp_path / "waits.yaml"
    file.write_text(PLACELESS.replace("{synthetic: {input_tokens: 4, output_tokens: 2}}", "rows.jsonl"))
    assert _keep_lead(me)
    for id_ in ("c-1", "c-2"):
        submit(load_campaign(file), store=me.store, id_=id_, seed=1, by="tests", urls={})
    said = me.store.journal("c-2")[0].fact
    key = names.file_chunks(said.files["rows.jsonl"][0])
    me.store.client.expire(key, 60)
    _tick(me)
    assert set(me.turns.found) == {"c-2"}
    assert me.store.client.ttl(key) > 24 * 3600
