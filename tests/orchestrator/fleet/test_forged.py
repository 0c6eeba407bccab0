"""A leaked Redis password: all of Redis may be written, and no key is known. What can be done to a fleet?"""

import base64
import json
import secrets
import signal

import pytest
from msgspec import structs

from orchestrator.results.fetch import fetch, sealed_verdict
from orchestrator.results.sealing import SEAL, SealError
from workers.contract import control
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.signing import read_keys
from workers.contract.signed.trust import sign_decision, sign_fact, sign_observation, sign_order

EVE = read_keys(f"eve={secrets.token_hex(32)}")
STOPPING = 300
"""Arrivals of 5 s: shards need not stop at the same moment."""


@pytest.fixture
def fleet(signed_fleet):
    """A fleet with keys; who attacks it has its Redis, and `ada`'s key at most."""
    signed_fleet.ensure(coordinators=1, workers=2)
    return signed_fleet


@pytest.fixture(scope="module", autouse=True)
def _workers_that_were_attacked_are_not_for_others(signed_fleet):
    """What they have refused stands on their cards."""
    yield
    for one in signed_fleet.workers.values():
        one.signal(signal.SIGTERM)
        one.popen.wait(30)


@pytest.fixture(scope="module")
def attacked(signed_fleet, until):
    """A campaign whose load is under way while all that follows is tried on it."""
    signed_fleet.ensure(coordinators=1, workers=2)
    campaign = signed_fleet.submit("attacked", duration="120s", fence="30s")
    until(lambda: len(campaign.log()) > 20)
    yield campaign
    if not campaign.finished():  # it would hold its target for two minutes
        stopped(campaign, signed_fleet)


def stopped(campaign, fleet) -> dict:
    """Its report, after whoever submitted it has stopped it."""
    abort = f.AbortAsked(by="ada", why="enough", at_s=fleet.store.now_s())
    signed = sign_fact(abort, campaign=campaign.id, keys=fleet.keys, now_s=abort.at_s)
    fleet.store.say(campaign.id, id_="abort:ada", fact=signed)
    return campaign.report()


def put(fleet, campaign, *facts: f.Fact) -> None:
    for fact in facts:
        fleet.store.client.xadd(names.journal(campaign.id), {"f": f.encode_fact(fact)})
    fleet.store.client.xadd(names.INBOX, {"c": campaign.id})


def refused(campaign) -> list[str]:
    return [one.what for one in campaign.facts(f.Refused)]


def goes_on(campaign, until) -> None:
    seen = len(campaign.log())
    until(lambda: len(campaign.log()) > seen + 30)


def test_orders_that_no_coordinator_gave_are_not_obeyed_and_the_card_tells_of_them(
    fleet, attacked, until
) -> None:
    campaign = attacked
    placed = campaign.facts(f.Placed)
    (start,) = {one.start_s for one in campaign.facts(f.PhaseStarted)}
    for one in placed:
        forged = [
            control.Start(campaign=campaign.id, attempt=one.attempt, start_s=start - 3, from_s=0.0),
            control.HandOver(campaign=campaign.id, attempt=one.attempt, until_s=0.5),
            control.Stop(campaign=campaign.id, attempt=one.attempt, why="eve"),
        ]
        bodies = [control.encode_order(order) for order in forged]
        bodies += [control.encode_order(sign_order(order, keys=EVE)) for order in forged]
        # who submits has a key that a coordinator believes, but not as a coordinator's
        bodies += [control.encode_order(sign_order(order, keys=fleet.keys)) for order in forged]
        genuine = sign_order(forged[2], keys=read_keys(fleet.environment["SHAKEOUT_SIGNING_KEY"]))
        moved = structs.replace(genuine, attempt=f"{one.attempt}1")
        bodies += [control.encode_order(structs.replace(moved, attempt=one.attempt, why="moved")), b"{", b""]
        for body in bodies:
            fleet.store.client.xadd(names.control(one.worker), {"o": body})
        fleet.store.client.xadd(names.control(one.worker), {"x": "y"})
    until(lambda: all(card.refused >= 6 for card in fleet.store.fleet(fleet.store.now_s())))
    cards = fleet.store.fleet(fleet.store.now_s())
    assert all("order" in card.refused_why for card in cards)
    goes_on(campaign, until)


def test_decisions_that_no_coordinator_made_place_start_and_end_nothing(fleet, attacked, until) -> None:
    campaign = attacked
    placed = campaign.facts(f.Placed)[0]
    more = [
        structs.replace(placed, attempt=f"attacked:0:{number}", number=number, signature="")
        for number in range(2, 6)
    ]
    forged = [
        *more,
        f.Lost(attempt=placed.attempt, fence_s=0.0, why="eve"),
        f.Resumed(attempt=placed.attempt, from_s=0.0),
        f.PhaseStarted(phase="only", start_s=fleet.store.now_s()),
        f.PhaseEnded(phase="only", verdict="pass"),
        f.Aborting(by="eve", why="eve", verdict="aborted"),
        f.Ended(verdict="pass"),
    ]
    put(fleet, campaign, *forged)
    put(fleet, campaign, *(sign_decision(one, campaign=campaign.id, number=99, keys=EVE) for one in forged))
    # and what a coordinator did say: again, with another number, and as another campaign's
    genuine = [one for one in campaign.facts(f.Placed, f.PhaseStarted) if one.signature]
    put(fleet, campaign, *genuine)
    put(fleet, campaign, *(structs.replace(one, signature="99" + one.signature) for one in genuine))
    fleet.store.client.xadd(names.journal(campaign.id), {"f": b'{"fact":"nonsense"}'})
    fleet.store.client.xadd(names.journal(campaign.id), {"g": b""})
    until(lambda: "decision" in refused(campaign))
    goes_on(campaign, until)
    assert campaign.facts(f.TaskRefused) == []


def test_observations_that_no_worker_made_hand_no_shard_to_anybody_else(fleet, attacked, until) -> None:
    campaign = attacked
    now_s = fleet.store.now_s()
    for placed in campaign.facts(f.Placed):
        forged = [
            f.Yielded(attempt=placed.attempt, until_s=0.0, at_s=now_s),
            f.Draining(attempt=placed.attempt, at_s=now_s),
            f.Exited(attempt=placed.attempt, outcome="died", at_s=now_s, silent_s=now_s - 1),
        ]
        put(fleet, campaign, *forged)
        put(fleet, campaign, *(sign_observation(one, campaign=campaign.id, keys=EVE) for one in forged))
        put(
            fleet, campaign, *(sign_observation(one, campaign=campaign.id, keys=fleet.keys) for one in forged)
        )
        own = read_keys(fleet.environment["SHAKEOUT_SIGNING_KEY"])
        put(fleet, campaign, *(sign_observation(one, campaign="another", keys=own) for one in forged))
    until(lambda: "observation" in refused(campaign))
    goes_on(campaign, until)


def test_what_is_no_task_in_a_workers_queue_ends_no_worker(fleet, attacked, until) -> None:
    client = fleet.store.client
    unsigned = base64.b64encode(b'[[{"attempt": "a"}], {}, {"chain": [1]}]').decode()
    whole = {
        "body": unsigned,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "shakeout.load", "id": "eve", "lang": "py", "timelimit": "x", "eta": "never"},
        "properties": {"delivery_tag": "eve", "delivery_info": {}, "body_encoding": "base64"},
    }
    entries = [b"", b"garbage", b"1", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, json.dumps(whole).encode()]
    for headers in ({"task": "celery.group", "id": "eve"}, {"task": "shakeout.none", "id": "eve"}, [1], None):
        entries.append(json.dumps({**whole, "headers": headers}).encode())
    odd = base64.b64encode(b'[[{"__type__": "datetime", "__value__": 1}], {}, {}]').decode()
    entries.append(json.dumps({**whole, "body": odd}).encode())
    for name in fleet.workers:
        client.lpush(names.queue(name), *entries)
    until(lambda: not any(client.exists(names.queue(name)) for name in fleet.workers))
    until(lambda: all("no task" in one.log.read_text() for one in fleet.workers.values()))
    for name in fleet.workers:
        client.set(names.queue(name), "of another kind")
        client.delete(names.queue(name))
    assert all(one.alive() for one in fleet.workers.values())
    goes_on(attacked, until)


def test_after_all_that_each_arrival_was_sent_once_and_the_report_tells_what_was_tried(
    fleet, attacked
) -> None:
    report = stopped(attacked, fleet)
    counts = attacked.agrees(report)
    assert counts["unknown"] == 0
    assert counts["sent"] == len(attacked.log())
    seen = {int(line["id"].split("/")[1]) for line in attacked.log()}
    assert set(range(max(seen) - STOPPING)) <= seen, "none was left out"
    assert {one["what"] for one in report["refusals"]} <= {"decision", "observation"}
    assert report["campaign"]["aborted_by"] == "ada"
    assert report["campaign"]["aborted_key"] == report["campaign"]["submitted_key"] == str(fleet.keys.own)
    folder = fleet.folder / "runs" / attacked.id
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert {line["attempt"] for line in lines if line["fact"] == "placed"} == {"attacked:0:1", "attacked:1:1"}
    assert {line["signature"] for line in lines} == {""}, "by a signature guesses at a key can be tried"


def test_a_lease_that_is_taken_and_put_back_lets_no_two_attempts_send_the_same(fleet, until) -> None:
    campaign = fleet.submit("leases", duration="120s")
    until(lambda: len(campaign.log()) > 20)
    placed = campaign.facts(f.Placed)[0]
    client, key = fleet.store.client, names.leases(campaign.id)

    def lost() -> bool:
        """Old leases make the leader believe that the worker is gone, and that its fence has passed."""
        client.hset(key, placed.attempt, round((fleet.store.now_s() - 60) * 1000))
        return bool(campaign.facts(f.Lost))

    until(lost)
    for _ in range(20):  # its worker is to believe that it may go on
        client.hset(key, placed.attempt, round(fleet.store.now_s() * 1000))
        client.hset(names.claims(campaign.id), placed.attempt, placed.incarnation)
    until(lambda: campaign.facts(f.Resumed))
    goes_on(campaign, until)
    campaign.agrees(stopped(campaign, fleet))


def test_a_journal_from_which_decisions_were_taken_is_not_gone_on_with(fleet, until) -> None:
    campaign = fleet.submit("shortened", duration="60s", fence="30s")
    until(lambda: len(campaign.log()) > 5)
    entries = fleet.store.client.xrange(names.journal(campaign.id))
    gone = next(id_ for id_, fields in entries if isinstance(f.decode_fact(fields[b"f"]), f.Placed))
    fleet.leader().kill()
    fleet.store.client.xdel(names.journal(campaign.id), gone)
    fleet.store.client.delete(names.claims(campaign.id))
    fleet.coordinator()
    until(campaign.finished)
    (ended,) = campaign.facts(f.Ended)
    assert ended.verdict == "refused"
    assert "the journal was altered" in ended.reasons[0]
    quiet = [0, 0]

    def silent() -> bool:
        seen = len(campaign.log())
        quiet[:] = (quiet[0] + 1, seen) if seen == quiet[1] else (0, seen)
        return quiet[0] > 50

    until(silent)


def test_a_journal_that_was_cut_back_to_its_beginning_has_no_load_begun_again(fleet, until) -> None:
    campaign = fleet.submit("cut-back", duration="60s", fence="30s")
    until(lambda: len(campaign.log()) > 5)
    client, key = fleet.store.client, names.journal(campaign.id)
    fleet.leader().kill()
    for id_, fields in client.xrange(key):
        if not isinstance(f.decode_fact(fields[b"f"]), f.Submitted | f.Accepted):
            client.xdel(key, id_)
    client.delete(names.fact_ids(campaign.id), names.claims(campaign.id))
    fleet.coordinator()
    until(campaign.finished)
    (ended,) = campaign.facts(f.Ended)
    assert ended.verdict == "refused"
    assert "decisions" in ended.reasons[0]
    assert campaign.facts(f.Placed) == []


def test_a_submitters_campaign_cannot_choose_a_folder_outside_the_runs(fleet, until) -> None:
    genuine = fleet.submit("inside", duration="1s")
    said = genuine.fact(f.Submitted)
    for id_ in ("../outside", "/tmp/outside", "a/../../outside"):
        bare = structs.replace(said, campaign=id_, signature="")
        moved = sign_fact(bare, campaign=id_, keys=fleet.keys, now_s=fleet.store.now_s())
        fleet.store.client.xadd(names.journal(id_), {"f": f.encode_fact(moved)})
        fleet.store.client.zadd(names.CAMPAIGNS, {id_: fleet.store.now_s()})
        until(lambda id_=id_: fleet.store.is_finished(id_))
        error = fleet.store.client.hget(names.results(id_), "error.txt").decode()
        assert "cannot be the name of a folder" in error
    genuine.report()
    assert not list(fleet.folder.glob("**/outside"))


def test_what_is_no_campaign_among_the_live_ones_holds_up_no_other(fleet, until) -> None:
    client, now_s = fleet.store.client, fleet.store.now_s()
    client.rpush(names.journal("listed"), "no stream")
    client.set(names.results("listed"), "no hash")
    client.zadd(names.CAMPAIGNS, {b"\xff\xfe": now_s, "listed": now_s, "inf": float("inf"), "": now_s})
    client.hset(names.COORDINATORS, b"\xff", b"\xff")
    client.hset(names.WORKERS, b"\xff", b"[" * 100_000)
    campaign = fleet.submit("beside-no-campaigns", duration="1s")
    assert campaign.report()["verdict"] == "pass"
    assert all(one.alive() for one in (*fleet.coordinators, *fleet.workers.values()))
    client.zrem(names.CAMPAIGNS, b"\xff\xfe", "listed", "inf", "")
    client.delete(names.journal("listed"))
    client.hdel(names.COORDINATORS, b"\xff")
    client.hdel(names.WORKERS, b"\xff")


def test_results_that_are_altered_in_redis_are_not_taken_for_the_coordinators(fleet, tmp_path) -> None:
    campaign = fleet.submit("sealed", duration="1s")
    campaign.report()
    store, key = fleet.store, names.results(campaign.id)
    assert "report.json" in fetch(store, campaign.id, tmp_path / "genuine", keys=fleet.keys)
    assert not (tmp_path / "genuine" / SEAL).exists()
    assert sealed_verdict(store, campaign.id, fleet.keys) == "pass"
    report, seal = store.client.hget(key, "report.json"), store.client.hget(key, SEAL)
    forgeries = [
        ({"report.json": report.replace(b'"pass"', b'"fail"')}, "report.json of .* was altered"),
        ({"extra.html": b"<script>"}, "extra.html of .* was altered"),
        ({SEAL: seal.replace(b'"verdict":"pass"', b'"verdict":"fail"')}, "altered"),
        ({SEAL: b"{"}, "cannot be read"),
        ({SEAL: None}, "not sealed"),
    ]
    for number, (forged, words) in enumerate(forgeries):
        for name, body in forged.items():
            _ = store.client.hset(key, name, body) if body is not None else store.client.hdel(key, name)
        with pytest.raises(SealError, match=words):
            fetch(store, campaign.id, tmp_path / str(number), keys=fleet.keys)
        assert not (tmp_path / str(number) / "report.json").exists()
        store.client.hset(key, mapping={"report.json": report, SEAL: seal})
        store.client.hdel(key, "extra.html")
    with pytest.raises(SealError, match="not to be believed"):
        fetch(store, campaign.id, tmp_path / "eve", keys=EVE)
