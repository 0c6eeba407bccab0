"""How campaigns stop: by a person, by `abort_if`, and by being impossible to coordinate."""

import time
from contextlib import suppress

import psutil
import redis

from orchestrator.results.audit import decode_audited
from workers.contract import facts as f
from workers.contract.broker import names

SILENT_WITHIN_S = 6.0
"""Three times the 2 s that are promised."""
HANG = """\
      - name: hang
        kind: chaos
        fault: pause-process
        at: 1s
        for: 20s
        match: {{cmdline: {words}}}
        where: {{at_most: 1}}
"""


def test_an_abort_silences_every_engine_and_reverts_what_is_held(fleet, until, victim) -> None:
    words, process = victim
    fleet.ensure()
    campaign = fleet.submit("aborted", shards=4, fence="10s", duration="30s", more=HANG.format(words=words))
    until(lambda: process.status() == psutil.STATUS_STOPPED)
    until(lambda: len(campaign.log()) > 50)
    assert len({one.attempt for one in campaign.facts(f.Claimed)}) == 5
    fleet.store.say(campaign.id, id_="abort:me", fact=f.AbortAsked(by="me", why="enough"))
    asked_ns = time.monotonic_ns()
    report = campaign.report()
    assert process.status() != psutil.STATUS_STOPPED
    assert [line for line in campaign.log() if line["received_ns"] > asked_ns + SILENT_WITHIN_S * 1e9] == []
    assert (report["exit_code"], report["campaign"]["aborted_by"]) == (5, "me")
    assert campaign.fact(f.Ended).verdict == "aborted"
    assert [one.what for one in campaign.facts(f.FaultSeen)] == ["injected", "verified", "reverted"]
    counts = campaign.agrees(report)
    assert counts["unknown"] == 0
    assert counts["unsent"] > 0


def test_a_breach_of_abort_if_stops_the_campaign_as_failed_with_that_reason_first(fleet, until) -> None:
    fleet.ensure()
    top = 'abort_if: ["p50(latency) > 1ms over 2s"]\n'
    campaign = fleet.submit("breached", top=top, duration="20s")
    report = campaign.report()
    assert report["verdict"] == "fail"
    assert "p50(latency) > 1ms over 2s" in report["reasons"][0]
    assert campaign.fact(f.Aborting).by == "abort_if"
    campaign.agrees(report)


def test_a_campaign_that_cannot_be_coordinated_ends_by_itself_and_holds_up_no_other(fleet, until) -> None:
    fleet.ensure()
    poisoned = fleet.submit("poisoned", duration="20s", rate="20/s", top="share_target: true\n")
    until(poisoned.log)
    poison = f.Placed(
        attempt="no:0:1", phase="only", activity="nobody-knows-this", shard=0, of=1, number=1, worker="w",
        incarnation="i",
    )  # fmt: skip
    fleet.store.client.xadd(names.journal(poisoned.id), {"f": f.encode_fact(poison)})
    sound = fleet.submit("sound", duration="3s", top="share_target: true\n")
    assert sound.report()["verdict"] == "pass"
    assert sound.facts(f.Lost) == []
    until(poisoned.finished)
    said = fleet.store.client.hget(names.results(poisoned.id), "error.txt")
    assert b"nobody-knows-this" in said
    assert [one.verdict for one in poisoned.facts(f.Ended)] == ["internal"]  # workers may speak after it
    kept = [decode_audited(fields[b"a"]) for _, fields in fleet.store.client.xrange(names.AUDIT)]
    (told,) = [one.why for one in kept if (one.on, one.what) == (poisoned.id, "ended")]
    assert told.startswith("internal: ")
    sent = len(poisoned.log())
    until(lambda: not any(one.engines() and _busy(one) for one in fleet.workers.values()))
    assert len(poisoned.log()) - sent < 20 * SILENT_WITHIN_S


def _busy(worker) -> bool:
    """Whether an engine of it is at work; True also where one exits while it is looked at: look again."""
    with suppress(psutil.NoSuchProcess):
        return sum(engine.cpu_percent(0.1) for engine in worker.engines()) > 20
    return True


def test_a_broken_snapshot_is_a_hole_that_the_report_tells_of(fleet, until) -> None:
    fleet.ensure()
    campaign = fleet.submit("holed", shards=1, duration="6s")
    until(campaign.log)
    stream = names.snapshots(campaign.id, "holed", 0)
    broken = until(lambda: _replace_next(fleet.store.client, stream))
    report = campaign.report()
    counts = campaign.agrees(report)
    assert counts["unknown"] > 0
    assert any(broken in warning for warning in report["activities"]["holed"]["warnings"])


def _replace_next(client, stream: str) -> str:
    """Take the place of the snapshot that comes next: its own is refused as a repeat."""
    last = client.xinfo_stream(stream)["last-generated-id"].decode() if client.exists(stream) else "1-0"
    number, seq = last.split("-")
    taken = f"{number}-{int(seq) + 1}"
    with suppress(redis.ResponseError):  # it has come meanwhile: the one after it, then
        client.xadd(stream, {"s": b"\xc1 no snapshot"}, id=taken)
        return taken
    return ""
