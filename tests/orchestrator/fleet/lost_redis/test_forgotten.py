"""Redis comes back without what it had acknowledged: its last writes, or everything."""

import secrets
import signal
from collections import Counter
from contextlib import suppress

import redis

from orchestrator.coordinator.lost_writes import EMPTIED
from orchestrator.results.results import REPORT
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.signing import read_keys


def loads(campaign, until, *, more_than: int = 50) -> None:
    until(lambda: len(campaign.log()) > more_than)


def finished(campaign) -> bool:
    with suppress(redis.RedisError):
        return campaign.finished()
    return False


def test_a_restart_that_loses_the_last_writes_costs_no_arrival_at_any_moment(
    durable, fleet_on, until
) -> None:
    place = durable()
    key = f"ops={secrets.token_hex(32)}"  # sealed and numbered: no decision may be amiss
    fleet = fleet_on(place, SHAKEOUT_SIGNING_KEY=key)
    fleet.keys = read_keys(key)
    fleet.ensure(workers=2)
    first = fleet.submit("begins", fence="15s", duration="6s")
    said = first.fact(f.PhaseStarted)
    loads(first, until)
    place.kill()
    place.forget_from(b"phase-started")
    place.start()
    until(lambda: fleet.leader().said("facts; they are written again"))
    loads(first, until, more_than=150)
    mark = place.size()
    loads(first, until, more_than=250)
    place.kill()
    place.forget(mark)
    place.start()
    report = first.report(within_s=60.0)
    counts = first.agrees(report)
    assert report["verdict"] == "pass", report["reasons"]
    assert counts["unknown"] == counts["unsent"] == 0
    assert [one.start_s for one in first.facts(f.PhaseStarted)] == [said.start_s]
    first.each_said_once()
    place.kill()
    place.forget_from(b'"fact":"ended"')
    place.start()
    until(lambda: finished(first))
    assert [one.verdict for one in first.facts(f.Ended)] == ["pass"], "it was not taken for a replay"
    assert fleet.store.client.hexists(names.results(first.id), REPORT)


def test_a_campaign_of_which_nothing_is_left_is_ended_by_the_leader_that_remembers_it_or_by_its_workers(
    durable, fleet_on, until
) -> None:
    place = durable()
    fleet = fleet_on(place)
    fleet.ensure(workers=2)
    campaign = fleet.submit("emptied", fence="4s", duration="30s")
    loads(campaign, until, more_than=200)
    place.admin.flushall()
    report = campaign.report(within_s=60.0)
    counts = campaign.agrees(report)
    assert report["verdict"] == "invalid"
    assert EMPTIED in " ".join(report["reasons"])
    assert counts["sent"] > 0
    campaign.states_gaps(report)
    alone = fleet.submit("alone", fence="30s", duration="60s")
    loads(alone, until)
    watch = fleet.spawn("-m", "orchestrator", "watch", alone.id)
    until(lambda: watch.said("phase only: started"))
    fleet.coordinators.pop().kill()
    place.kill()
    place.lose_all()
    place.start()
    fleet.coordinator()
    # nobody remembers it: workers end what Redis knows nothing of, and have room for what comes
    until(lambda: all(one.said("Redis knows nothing of campaign alone") for one in fleet.workers.values()))
    assert watch.popen.wait(30) == 6
    assert watch.said(f"Redis knows nothing of {alone.id} any more")
    brief = fleet.submit("brief", duration="1s")
    report = brief.report()
    assert report["verdict"] == "pass", report["reasons"]
    assert brief.agrees(report)["unknown"] == 0
    seen = Counter(line["id"] for line in alone.log())
    assert max(seen.values()) == 1
    for one in (*fleet.coordinators, *fleet.workers.values()):
        assert not one.said("Traceback"), one.log.read_text()


def test_one_host_with_redis_and_coordinator_loses_its_power_and_nobody_remembers_what_was_decided_last(
    durable, fleet_on, until
) -> None:
    place = durable()
    fleet = fleet_on(place)
    fleet.ensure(workers=2)

    def power_cut(forget) -> None:
        fleet.coordinators.pop().kill()
        place.kill()
        forget()
        place.start()
        fleet.coordinator()

    goes_on = fleet.submit("goes-on", fence="10s", duration="5s")
    loads(goes_on, until)
    mark = place.size()
    loads(goes_on, until, more_than=120)
    power_cut(lambda: place.forget(mark))
    report = goes_on.report(within_s=60.0)
    assert report["verdict"] == "pass", report["reasons"]
    assert goes_on.agrees(report)["unknown"] == 0
    for word, words in ((b"phase-started", "nobody told it to"), (b"placed", "which nobody placed")):
        torn = fleet.submit(f"without-{word.decode()}", fence="3s", duration="20s")
        loads(torn, until)
        fact = b'"fact":"%b"' % word
        power_cut(lambda fact=fact, torn=torn: place.forget_from(fact, after=torn.id.encode()))
        report = torn.report(within_s=60.0)
        assert report["verdict"] == "invalid"
        assert words in " ".join(report["reasons"])
        assert max(Counter(line["id"] for line in torn.log()).values()) == 1


def test_workers_that_come_back_long_after_their_fence_tell_what_nobody_remembers(
    durable, fleet_on, until
) -> None:
    place = durable()
    fleet = fleet_on(place)
    fleet.ensure(workers=2)
    torn = fleet.submit("slow-to-return", fence="2s", duration="20s")
    loads(torn, until)
    for one in fleet.workers.values():
        one.signal(signal.SIGSTOP)
    fleet.coordinators.pop().kill()
    place.kill()
    place.forget_from(b'"fact":"phase-started"', after=torn.id.encode())
    place.start()
    leader = fleet.coordinator()
    until(lambda: leader.said("leading"))
    until(lambda: len(torn.facts(f.Lost)) == 2)
    for one in fleet.workers.values():
        one.signal(signal.SIGCONT)
    report = torn.report(within_s=60.0)
    assert report["verdict"] == "invalid"
    assert "nobody told it to" in " ".join(report["reasons"])
    assert torn.facts(f.PhaseStarted) == []
    assert max(Counter(line["id"] for line in torn.log()).values()) == 1
