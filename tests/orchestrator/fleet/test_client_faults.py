"""Faults that clients do, with real parts: counted beside the load, limited, gone with their worker."""

import json
from collections import Counter
from pathlib import Path

import pytest

from workers.contract import facts as f

GONE_WITHIN_S = 15.0
"""Three times the 5 s that are promised."""
STORM = """\
      - name: {name}
        kind: chaos
        at: 1s
        for: {length}
        target: chat
        fault: {fault}
        with: {options}
"""
BOTH = """\
      - name: both
        kind: chaos
        at: 4s
        target: chat
        order: parallel
        faults:
          - {fault: duplicate, for: 1s, with: {rate: 10/s, copies: 2, rows: rows.jsonl}}
          - {fault: burst, for: 1s, with: {requests: 15, rows: rows.jsonl}}
"""


def storm(name, fault, *, length="1500ms", **options):
    return STORM.format(name=name, fault=fault, length=length, options=json.dumps(options))


@pytest.fixture(scope="module")
def told(the_fleet):
    """One campaign with a load and four faults of clients: its report, its page, ids in the log."""
    the_fleet.ensure()
    (the_fleet.folder / "rows.jsonl").write_text('{"prompt": "ahoy there", "max_tokens": 2}\n')
    before = len(the_fleet.received())
    more = (
        storm("storm", "burst", rate="40/s", tokens=2, answers=["2xx"])
        + storm("garbage", "malformed", length="1s", rate="20/s", kinds={"broken-json": 1}, answers=["422"])
        + BOTH
    )
    campaign = the_fleet.submit("beside", duration="7s", more=more)
    report = campaign.report()
    campaign.agrees(report)
    ids = [line["id"] or "" for line in the_fleet.received()[before:]]
    page = (the_fleet.folder / "runs" / campaign.id / "report.html").read_text()
    return report, page, lambda activity: Counter(one for one in ids if one.startswith(f"{activity}/"))


def test_requests_of_clients_are_counted_beside_the_load_and_never_in_it(told, fleet) -> None:
    report, page, seen = told
    fault = next(one for one in report["faults"] if one["name"] == "storm")
    assert fault["took_effect"] is True, fault["why"]
    assert fault["touched"] == [f"target chat at {fleet.url}: 40 requests a second"]
    ids = seen("storm")
    assert set(ids.values()) == {1}
    assert set(ids) <= {f"storm/{index}/1" for index in range(400)}
    assert 0 < fault["did"]["sent"] <= sum(ids.values())
    assert fault["did"]["answers"]["200"] <= fault["did"]["sent"]
    (said,) = [one for one in report["slos"] if one["activity"] == "storm"]
    assert (said["slo"], said["verdict"]) == ("documented answers of burst: 2xx", "pass")
    assert said["samples"] == fault["did"]["answers"]["200"]
    assert f"sent {fault['did']['sent']}" in page


def test_answers_that_are_not_documented_fail_the_campaign(told) -> None:
    report, _, _ = told
    fault = next(one for one in report["faults"] if one["name"] == "garbage")
    assert set(fault["did"]["unexpected"]) == {"broken-json"}
    assert report["verdict"] == "fail"
    assert "broken-json answered 400" in report["reasons"][0]
    assert report["activities"]["garbage"]["verdict"] == "fail"


def test_a_composition_of_clients_numbers_its_requests_apart_and_files_travel_with_it(told) -> None:
    report, _, seen = told
    first, second = [one for one in report["faults"] if one["name"] == "both"]
    assert first["took_effect"] is second["took_effect"] is True, (first["why"], second["why"])
    ids = seen("both")
    apart = {name for name in ids if int(name.split("/")[1]) >= 1_000_000_000}
    assert 0 < second["did"]["sent"] <= len(apart) <= 15
    assert {ids[name] for name in apart} == {1}
    assert 2 in {count for name, count in ids.items() if name not in apart}


def test_connections_are_gone_soon_after_the_worker_was_killed(fleet, until) -> None:
    fleet.ensure()
    port = int(fleet.url.rpartition(":")[2])
    more = storm("hold", "slow-loris", length="6s", connections=30, every="200ms")
    campaign = fleet.submit("orphaned", duration="9s", rate="10/s", shards=1, more=more)
    until(lambda: [one for one in campaign.facts(f.FaultSeen) if one.what == "verified"])
    (claimed,) = [one for one in campaign.facts(f.Placed) if one.attempt.startswith("hold:")]
    assert connected(port) >= 30
    fleet.workers[claimed.worker].kill()
    until(lambda: connected(port) < 30, within_s=GONE_WITHIN_S)
    report = campaign.report(within_s=60)
    assert report["activities"]["hold"]["verdict"] == "invalid"


def connected(port):
    """Near ends of connections to a port of 127.0.0.1, as the kernel has them."""
    lines = Path("/proc/net/tcp").read_text().splitlines()
    return sum(f" 0100007F:{port:04X} 01 " in line for line in lines)
