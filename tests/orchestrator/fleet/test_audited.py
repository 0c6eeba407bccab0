"""Who did what, asked for as an operator does; and old runs that the leader removes."""

import json
import os
import subprocess
import sys
import time

import pytest

from orchestrator.results.audit import Audited, decode_audited, encode_audited, sealed
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.halts import Press, encode_press, sign_press
from workers.contract.signed.trust import sign_fact

DAY_S = 24 * 3600.0


def shakeout(fleet, *argv: str, **environment: str) -> subprocess.CompletedProcess:
    given = {**os.environ, "SHAKEOUT_BROKER": fleet.server.url, **environment}
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *argv],
        env=given, capture_output=True, text=True, timeout=60, check=False, cwd=fleet.folder,
    )  # fmt: skip


def audited(fleet, key: str, *argv: str) -> list[dict]:
    done = shakeout(fleet, "audit", "--json", *argv, SHAKEOUT_SIGNING_KEY=key)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kept(fleet) -> list[str]:
    """What the entries are of, the oldest first."""
    return [decode_audited(fields[b"a"]).what for _, fields in fleet.store.client.xrange(names.AUDIT)]


def press(fleet, button: str) -> None:
    said = sign_press(Press("ada", "", fleet.store.now_s()), purpose=button, keys=fleet.keys)
    fleet.store.client.hset(names.HALT, button, encode_press(said))


@pytest.fixture
def fleet(signed_fleet):
    signed_fleet.ensure(coordinators=1, workers=1)
    return signed_fleet


def test_who_submitted_aborted_and_halted_is_kept_by_key_and_outlives_the_campaign(fleet, until) -> None:
    ops, ada = fleet.environment["SHAKEOUT_SIGNING_KEY"], str(fleet.keys.own)
    campaign = fleet.submit("audited", duration="60s")
    until(lambda: len(campaign.log()) > 5)
    abort = f.AbortAsked(by="ada", why="enough", at_s=fleet.store.now_s())
    signed = sign_fact(abort, campaign=campaign.id, keys=fleet.keys, now_s=abort.at_s)
    fleet.store.say(campaign.id, id_="abort:ada", fact=signed)
    campaign.report()
    press(fleet, "halt")
    until(lambda: "halted" in kept(fleet))
    press(fleet, "resume")
    until(lambda: "resumed" in kept(fleet))
    listed = shakeout(fleet, "list").stdout
    assert f"ada, {ada}" in listed
    before = kept(fleet)
    fleet.leader().kill()
    fleet.coordinator()
    fleet.leader()
    fleet.store.client.delete(*fleet.store.client.keys(f"{names.PREFIX}:c:{campaign.id}:*"))

    assert kept(fleet) == before, "a successor keeps nothing twice"
    told = audited(fleet, ops)
    mine = [one for one in told if one["on"] == campaign.id]
    assert [(one["what"], one["by"], one["key"]) for one in reversed(mine)] == [
        ("submitted", "tests", ada), ("aborted", "ada", ada), ("ended", "", ""),
    ]  # fmt: skip
    assert {(one["what"], one["by"], one["key"]) for one in told} >= {
        ("halted", "ada", ada), ("resumed", "ada", ada)
    }  # fmt: skip
    assert {one["doubt"] for one in told} == {""}


def test_an_entry_that_no_coordinator_kept_is_shown_as_not_vouched_for(fleet) -> None:
    ops = fleet.environment["SHAKEOUT_SIGNING_KEY"]
    entry = Audited(at_s=1.0, what="aborted", id="x", on="c-9", by="ada\x1b[2J", key=str(fleet.keys.own))
    for one in (entry, sealed(entry, fleet.keys)):
        fleet.store.client.xadd(names.AUDIT, {"a": encode_audited(one)})
    fleet.store.client.xadd(names.AUDIT, {"a": b"{"})
    shown = audited(fleet, ops, "c-9")
    assert ["not signed" in shown[1]["doubt"], "foreign key" in shown[0]["doubt"]] == [True, True]
    table = shakeout(fleet, "audit", "c-9", SHAKEOUT_SIGNING_KEY=ops)
    assert table.stdout.count("not vouched for") == 1
    assert f"sealed with {fleet.keys.own.id}" in table.stdout
    assert f"a key that is not yours, which whoever has it can check: {fleet.keys.own.id}" in table.stdout
    assert "\x1b" not in table.stdout


def test_what_was_done_last_is_told_first_in_whatever_order_it_was_kept(fleet) -> None:
    ops = fleet.environment["SHAKEOUT_SIGNING_KEY"]
    for at_s, what in ((1.0, "submitted"), (3.0, "ended"), (2.0, "aborted")):
        entry = Audited(at_s=at_s, what=what, id=what, on="c-7")
        fleet.store.client.xadd(names.AUDIT, {"a": encode_audited(entry)})
    assert [one["what"] for one in audited(fleet, ops, "c-7")] == ["ended", "aborted", "submitted"]


def test_a_leader_that_is_told_to_removes_old_runs_and_list_says_so(new_fleet, until) -> None:
    fleet = new_fleet(SHAKEOUT_KEEP_RUNS="31d", SHAKEOUT_KEEP_RESULTS="2h")
    ids = []
    for days in (40, 2):
        began = time.gmtime(time.time() - days * DAY_S)
        ids.append(f"night-{time.strftime('%Y%m%d-%H%M%S', began)}-ab12")
        folder = fleet.folder / "runs" / ids[-1]
        folder.mkdir(parents=True)
        ended = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", began)
        report = {"schema": 1, "campaign": {"id": ids[-1], "ended": ended}}
        (folder / "report.json").write_text(json.dumps(report))
    fleet.coordinator()
    until(lambda: not (fleet.folder / "runs" / ids[0]).exists())
    until(lambda: fleet.store.client.get(names.PRUNED))
    assert (fleet.folder / "runs" / ids[1] / "report.json").exists()
    said = shakeout(fleet, "list").stdout
    assert "1 run that ended more than 31 d before: " + ids[0] in said
    until(lambda: kept(fleet) == ["pruned"])
    (card,) = fleet.store.client.hvals(names.COORDINATORS)
    assert json.loads(card)["results_kept_s"] == 2 * 3600
