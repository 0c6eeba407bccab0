"""Faults of the platform's own and of the network: in the report, and undone whoever dies."""

import json
import os
import shutil
import subprocess

import pytest

from workers.contract import facts as f

REVERTED_WITHIN_S = 15.0
"""Three times the 5 s that are promised."""
FAULT = """\
      - name: {name}
        kind: chaos
        at: 1s
        for: {length}
        fault: {fault}
        where: {{label: {label}}}
        with: {options}
"""
SECRET = "tell-nobody-4713"


@pytest.fixture
def listed(fleet):
    """A folder of commands that break something and mend it where they may."""
    folder = fleet.folder / "listed"
    folder.mkdir(exist_ok=True)
    broken, locked = folder / "broken", folder / "locked"
    for name, line in (
        ("break", f"touch {broken}"),
        ("is-broken", f"test -e {broken}"),
        ("mend", f'test -e {locked} && {{ echo "locked, says $TOKEN"; exit 3; }}; rm -f {broken}'),
    ):
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o700)
    return folder


def _worker(fleet, name, listed):
    worker = fleet.spawn(
        "-m", "workers", "--name", name, "--label", name, "--user-code", str(listed),
        SHAKEOUT_HOME=str(fleet.folder / f"home-{name}"), API_TOKEN=SECRET,
    )  # fmt: skip
    fleet.workers[name] = worker
    return worker


def _command(label, length="1s"):
    options = {
        "inject": ["break"], "verify": ["is-broken"], "revert": ["mend"], "every": "200ms",
        "env": {"TOKEN": "${env:API_TOKEN}"},
    }  # fmt: skip
    return FAULT.format(name="own", fault="command", length=length, label=label, options=json.dumps(options))


def test_a_revert_that_fails_is_loud_and_what_it_comes_to_is_told(fleet, listed, until) -> None:
    fleet.ensure()
    worker = _worker(fleet, "lists", listed)
    fleet.ensure(workers=3)
    (listed / "locked").touch()
    campaign = fleet.submit("stubborn", duration="5s", rate="10/s", shards=1, more=_command("lists"))
    until(lambda: [one for one in campaign.facts(f.FaultSeen) if one.what == "residue"], within_s=60)
    assert (listed / "broken").exists()
    (listed / "locked").unlink()
    report = campaign.report(within_s=90)
    assert not (listed / "broken").exists()
    (fault,) = report["faults"]
    assert (fault["took_effect"], fault["residue"]) == (True, "")
    assert [one.what for one in campaign.facts(f.FaultSeen)] == [
        "injected",
        "verified",
        "residue",
        "reverted",
    ]
    said = worker.log.read_text()
    assert "is NOT undone: revert ended with 3: locked, says ***" in said
    journal = (fleet.folder / "runs" / campaign.id / "journal.jsonl").read_text()
    assert SECRET not in said + journal + json.dumps(report)
    worker.kill()


def test_a_fault_of_a_killed_worker_is_undone_and_told_by_its_next_life(fleet, listed, until) -> None:
    fleet.ensure()
    worker = _worker(fleet, "dies", listed)
    fleet.ensure(workers=3)
    more = _command("dies", length="6s")
    campaign = fleet.submit("orphaned-command", duration="8s", rate="5/s", shards=1, more=more)
    until((listed / "broken").exists)
    until(lambda: [one for one in campaign.facts(f.FaultSeen) if one.what == "verified"])
    worker.kill()
    until(lambda: not (listed / "broken").exists(), within_s=REVERTED_WITHIN_S)
    again = _worker(fleet, "dies", listed)
    until(lambda: [one for one in campaign.facts(f.FaultSeen) if one.what == "reverted"])
    report = campaign.report(within_s=90)
    assert report["activities"]["own"]["verdict"] == "invalid"
    again.kill()


@pytest.mark.root
@pytest.mark.skipif(shutil.which("nft") is None or os.geteuid() != 0, reason="needs root, and nft")
def test_packets_to_a_target_are_lost_and_redis_is_not(fleet) -> None:
    fleet.ensure()
    port = int(fleet.url.rpartition(":")[2])
    where = '        where: {at_most: 1}\n        expect: ["recovery < 60s"]\n'
    more = FAULT.format(
        name="deaf", fault="packet-drop", length="2s", label="x", options=json.dumps({"ports": [port]})
    ).replace("        where: {label: x}\n", where)
    campaign = fleet.submit("dropping", duration="5s", rate="20/s", shards=1, more=more)
    report = campaign.report(within_s=90)
    (fault,) = report["faults"]
    assert fault["took_effect"] is True, fault["why"]
    assert fault["residue"] == ""
    assert fault["did"]["dropped"] > 0
    assert fault["touched"][0].startswith(f"packets to and from any host, port {port}")
    counts, arrived = campaign.requests(report), {line["id"] for line in campaign.log()}
    assert counts["failed"] > 0
    assert counts["ok"] <= len(arrived) < counts["sent"], "what was dropped was sent, and never arrived"
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    assert "shakeout" not in tables
