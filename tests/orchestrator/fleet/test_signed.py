"""A fleet with keys: who may submit, stop and halt, and what becomes of what nobody trusted has said."""

import secrets
import time

import pytest
from msgspec import structs

from orchestrator.dispatch import sender
from orchestrator.verdict import EXIT_CODES
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.halts import Press, encode_press, sign_press
from workers.contract.signed.signing import NO_KEYS, read_keys
from workers.contract.signed.trust import SUBMISSION_COUNTS_S, sign_fact
from workers.contract.spec import ShardTask

EVE = read_keys(f"eve={secrets.token_hex(32)}")
SILENT_WITHIN_S = 9.0
"""Three times the 3 s that are promised."""
MAX_TIME_S = 10.0
"""In which a load begins on any machine: it takes a second."""


@pytest.fixture
def fleet(signed_fleet):
    """A fleet with keys, on which nothing is pressed."""
    signed_fleet.ensure()
    return signed_fleet


def press(fleet, button: str, *, keys=None) -> None:
    said = sign_press(
        Press("ada", "the pager rings", fleet.store.now_s()), purpose=button, keys=keys or fleet.keys
    )
    fleet.store.client.hset(names.HALT, button, encode_press(said))


def refused(campaign, until) -> str:
    """Why a campaign was refused, once it is over."""
    until(campaign.finished)
    ended = campaign.fact(f.Ended)
    assert ended.verdict == "refused"
    assert EXIT_CODES[ended.verdict] == 2
    assert [one.what for one in campaign.facts(f.Refused)] == ["submission"]
    results = campaign.fleet.store.client.hgetall(names.results(campaign.id))
    assert list(results) == [b"error.txt"]
    assert not (campaign.fleet.folder / "runs" / campaign.id / "report.json").exists()
    assert campaign.fleet.store.client.zscore(names.CAMPAIGNS, campaign.id) is None
    assert results[b"error.txt"].decode() == ended.reasons[0]
    return ended.reasons[0]


def test_a_campaign_of_a_trusted_submitter_runs_and_says_whose_it_is(fleet) -> None:
    campaign = fleet.submit("trusted", duration="2s")
    assert campaign.report()["verdict"] == "pass"
    kinds = [type(one) for one in campaign.facts()]
    assert kinds[:3] == [f.Submitted, f.Accepted, f.PhaseOpened]
    assert campaign.fact(f.Accepted).key == str(fleet.keys.keys[0])
    assert campaign.agrees(campaign.report())["unknown"] == 0


def with_keys(fleet, keys, name: str, **given):
    before, fleet.keys = fleet.keys, keys
    try:
        return fleet.submit(name, duration="2s", **given)
    finally:
        fleet.keys = before


@pytest.mark.parametrize(("keys", "words"), [(NO_KEYS, "is not signed"), (EVE, "foreign key")])
def test_an_unsigned_or_foreign_submission_is_refused_and_nothing_is_sent(fleet, until, keys, words) -> None:
    name = f"strange-{len(keys.keys)}"
    campaign = with_keys(fleet, keys, name)
    why = refused(campaign, until)
    assert words in why
    assert str(fleet.keys.keys[0]) in why, "it says whom it would have believed"
    assert campaign.facts(f.Placed) == []
    assert campaign.log() == []


def forged(fleet, campaign, fact: f.Submitted, id_: str):
    """Another campaign that somebody with access to Redis has put in its place."""
    fleet.store.client.xadd(names.journal(id_), {"f": f.encode_fact(fact)})
    fleet.store.client.zadd(names.CAMPAIGNS, {id_: fleet.store.now_s()})
    return type(campaign)(fleet, id_, campaign.name)


def test_an_altered_expired_or_borrowed_submission_is_refused(fleet, until) -> None:
    real = fleet.submit("borrowed", duration="1s")
    real.report()
    said = real.fact(f.Submitted)
    longer = structs.replace(said, text=said.text.replace("duration: 1s", "duration: 9h"))
    assert longer != said
    at_s = fleet.store.now_s() - SUBMISSION_COUNTS_S - 1
    bare = structs.replace(said, campaign="old", signature="", at_s=at_s)
    old = sign_fact(bare, campaign="old", keys=fleet.keys, now_s=at_s)
    assert "expired" in refused(forged(fleet, real, old, "old"), until)
    other = structs.replace(longer, campaign="other")
    assert "altered" in refused(forged(fleet, real, other, "other"), until)
    assert "another campaign" in refused(forged(fleet, real, said, "taken"), until)


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_replayed_submission_runs_no_second_time_and_spoils_no_report(fleet, until, forgotten) -> None:
    campaign = fleet.submit(f"replayed-{int(forgotten)}", duration="1s")
    report = campaign.report()
    body = f.encode_fact(campaign.fact(f.Submitted))
    sent, results = len(campaign.log()), fleet.store.client.hgetall(names.results(campaign.id))
    client = fleet.store.client
    if forgotten:  # all that Redis knew of it; its report still stands at the runs URL
        client.zrem(names.FINISHED, campaign.id)
        client.delete(*client.keys(f"{names.PREFIX}:c:{campaign.id}:*"))
    client.xadd(names.journal(campaign.id), {"f": body})
    client.zadd(names.CAMPAIGNS, {campaign.id: fleet.store.now_s()})
    until(lambda: client.zscore(names.CAMPAIGNS, campaign.id) is None)
    assert any("replayed" in one.why for one in campaign.facts(f.Refused))
    assert campaign.report() == report
    assert len(campaign.log()) == sent
    if not forgotten:
        assert client.hgetall(names.results(campaign.id)) == results


def test_a_submission_that_is_exchanged_while_it_runs_ends_it_when_the_next_coordinator_reads_it(
    fleet, until
) -> None:
    fleet.ensure(coordinators=1)
    campaign = fleet.submit("exchanged", duration="60s", fence="30s")
    until(lambda: len(campaign.log()) > 20)
    leader = fleet.leader()
    leader.kill()
    entries = fleet.store.client.xrange(names.journal(campaign.id))
    said = f.decode_fact(entries[0][1][b"f"])
    other = structs.replace(said, seed=99, signature="")
    other = sign_fact(other, campaign=campaign.id, keys=fleet.keys, now_s=fleet.store.now_s())
    fleet.store.client.delete(names.journal(campaign.id))
    for id_, fields in entries:
        body = f.encode_fact(other) if id_ == entries[0][0] else fields[b"f"]
        fleet.store.client.xadd(names.journal(campaign.id), {"f": body}, id=id_)
    fleet.coordinator()
    assert "it is not the one that was accepted" in refused(campaign, until)
    ended_ns = time.monotonic_ns()
    quiet = [time.monotonic(), len(campaign.log())]

    def is_quiet() -> bool:
        if len(campaign.log()) != quiet[1]:
            quiet[:] = time.monotonic(), len(campaign.log())
        return time.monotonic() - quiet[0] > 1.0

    until(is_quiet, within_s=SILENT_WITHIN_S)
    late = [line for line in campaign.log() if line["received_ns"] > ended_ns + SILENT_WITHIN_S * 1e9]
    assert late == []


def test_orders_and_remarks_that_nobody_trusted_said_do_not_count_and_are_answered_once(fleet, until) -> None:
    fleet.ensure(coordinators=1)
    campaign = fleet.submit("ordered", duration="60s")
    until(lambda: len(campaign.log()) > 5)
    now_s = fleet.store.now_s()
    abort, note = f.AbortAsked(by="eve", at_s=now_s), f.Noted(by="ada", text="a new model is on", at_s=now_s)
    signed = sign_fact(note, campaign=campaign.id, keys=fleet.keys, now_s=now_s)
    foreign = sign_fact(abort, campaign=campaign.id, keys=EVE, now_s=now_s)
    borrowed = sign_fact(structs.replace(abort, by="ada"), campaign="another", keys=fleet.keys, now_s=now_s)
    for number, fact in enumerate((abort, foreign, borrowed, signed)):
        fleet.store.say(campaign.id, id_=f"word:{number}", fact=fact)
    fleet.store.client.xadd(names.journal(campaign.id), {"f": f.encode_fact(signed)})
    until(lambda: len(campaign.facts(f.Refused)) == 4)
    fleet.leader().kill()
    fleet.coordinator()
    fleet.leader()
    seen = len(campaign.log())
    until(lambda: len(campaign.log()) > seen + 60)
    assert [one.by for one in campaign.facts(f.Refused)] == ["eve", "eve", "ada", "ada"]
    assert campaign.facts(f.Aborting) == []
    abort = structs.replace(abort, by="ada", why="enough", at_s=fleet.store.now_s())
    mine = sign_fact(abort, campaign=campaign.id, keys=fleet.keys, now_s=abort.at_s)
    fleet.store.say(campaign.id, id_="abort:ada", fact=mine)
    report = campaign.report()
    assert (report["exit_code"], report["campaign"]["aborted_by"]) == (5, "ada")
    assert [(one["by"], one["text"]) for one in report["notes"]] == [("ada", "a new model is on")]


def test_a_halt_aborts_what_runs_and_refuses_what_comes_until_somebody_resumes(fleet, until) -> None:
    running = fleet.submit("running", duration="60s", fence="30s")
    until(lambda: len(running.log()) > 20)
    press(fleet, "halt", keys=EVE)
    until(lambda: any(one.said("a halt in Redis does not count") for one in fleet.coordinators))
    seen = len(running.log())
    until(lambda: len(running.log()) > seen + 20)
    pressed_ns = time.monotonic_ns()
    press(fleet, "halt")
    try:
        report = running.report()
        assert (report["exit_code"], report["campaign"]["aborted_by"]) == (5, "ada")
        assert "halted by ada: the pager rings" in report["reasons"][0]
        late = [one for one in running.log() if one["received_ns"] > pressed_ns + SILENT_WITHIN_S * 1e9]
        assert late == []
        assert running.agrees(report)["unknown"] == 0
        assert "halted by ada" in refused(fleet.submit("coming", duration="1s"), until)
    finally:
        press(fleet, "resume")
    until(lambda: not any(card.halted for card in fleet.store.fleet(fleet.store.now_s())))
    resumed = fleet.submit("resumed", duration="1s")
    assert resumed.agrees(resumed.report())["sent"] > 10


def test_a_halt_that_is_over_at_once_still_ends_all_that_ran(fleet, until) -> None:
    running = fleet.submit("grazed", duration="60s")
    until(lambda: len(running.log()) > 5)
    press(fleet, "halt")
    press(fleet, "resume")
    assert running.report()["campaign"]["aborted_by"] == "ada"


def test_a_submitters_key_signs_no_task_and_the_campaign_hears_of_tasks_that_were_refused(
    fleet, until
) -> None:
    campaign = fleet.submit("told", duration="4s")
    until(lambda: len(campaign.log()) > 5)
    card = fleet.store.fleet(fleet.store.now_s())[0]
    (sha256,) = fleet.store.client.hkeys(names.specs(campaign.id))
    task = ShardTask(
        campaign=campaign.id, activity="told", shard=0, of=1, number=9, attempt="told:0:9",
        worker=card.worker, incarnation=card.incarnation, spec_sha256=sha256.decode(), kind="load",
        expires_s=fleet.store.now_s() + 60,
    )  # fmt: skip
    sender(fleet.server.url, fleet.keys)(task)
    (fact,) = until(lambda: campaign.facts(f.TaskRefused))
    assert (fact.worker, fact.attempt) == (card.worker, "told:0:9")
    assert f"foreign key {fleet.keys.keys[0].id}" in fact.why
    report = campaign.report()
    assert campaign.agrees(report)["unsent"] == 0
    assert [(one["what"], one["by"]) for one in report["refusals"]] == [("task", card.worker)]


def test_a_campaign_whose_time_is_over_is_stopped_and_invalid_and_its_labels_are_reported(
    fleet, until
) -> None:
    campaign = fleet.submit(
        "hurried", duration="60s", options={"labels": {"team": "search"}, "max_time_s": MAX_TIME_S}
    )
    until(lambda: len(campaign.log()) > 5)
    report = campaign.report()
    assert (report["verdict"], report["exit_code"]) == ("invalid", 4)
    assert f"stopped by --max-time {MAX_TIME_S:g}s, in phase only" in report["reasons"][0]
    assert report["campaign"]["labels"] == {"team": "search"}
    assert "team=search" in (fleet.folder / "runs" / campaign.id / "report.html").read_text()
    assert campaign.agrees(report)["unknown"] == 0
