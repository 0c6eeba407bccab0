"""Redis is away for a while: killed, hung, cut off, without room for connections, gone for long."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module

import redis
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.verdict import EXIT_CODES
from workers.contract import facts as f

FENCE_S = 4.0
RATE_PER_S = 60
TROUBLES_S = 26
GONE_FOR_S = 20.0
HANGS_FOR_S = 6.0
"""Longer than the leader's lease and the workers'."""
SILENT_WITHIN_S = 3 * FENCE_S
"""Three times the fence, by the target's own log."""


def more(campaign, until, *, than: int = 30) -> None:
    """The target has received so many more, or all: on a slow machine the last troubles come too late."""
    wanted = min(len(campaign.log()) + than, 0.9 * RATE_PER_S * TROUBLES_S)
    until(lambda: len(campaign.log()) > wanted)


BRIEF = """\
campaign: brief
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}"}}
phases:
  - name: only
    activities:
      - name: brief
        kind: load
        target: chat
        arrivals: {{process: constant, rate: 10/s}}
        duration: 1s
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
"""


@dataclass
class At:
    """Where the parts find the broker."""

    url: str
    resume: Callable[[], None] = lambda: None


def finished(campaign) -> bool:
    with suppress(redis.RedisError):  # it may be on its way back
        return campaign.finished()
    return False


def test_small_troubles_one_after_another_cost_nothing(durable, fleet_on, relay, until) -> None:
    place = durable("appendfsync always")
    way = relay(place.server.port)
    place.url = place.url.replace(str(place.server.port), str(way.port))
    fleet = fleet_on(place)
    fleet.ensure(workers=2)
    campaign = fleet.submit("troubles", fence="60s", duration=f"{TROUBLES_S}s")
    campaign.fact(f.PhaseStarted)
    more(campaign, until)
    place.admin.script_flush()
    more(campaign, until)
    place.admin.client_kill_filter(skipme=True, _type="normal")
    more(campaign, until)
    place.admin.config_set("requirepass", "another")
    place.admin.client_kill_filter(skipme=True, _type="normal")
    until(lambda: all(one.said("is wrong, or there is no such user") for one in fleet.workers.values()))
    place.admin.config_set("requirepass", "secret")
    more(campaign, until)
    place.admin.config_set("maxclients", "1")
    place.admin.client_kill_filter(skipme=True, _type="normal")
    until(lambda: any(one.said("it has no room for another client") for one in fleet.coordinators))
    place.admin.config_set("maxclients", "1000")
    more(campaign, until)
    way.delay_s = 0.05
    more(campaign, until)
    way.delay_s = 0.0
    place.kill()
    more(campaign, until)
    place.start()
    more(campaign, until)
    way.cut = True
    time.sleep(4.0)  # half-open: connections stand, and nothing comes through
    way.cut = False
    more(campaign, until)
    place.pause()
    time.sleep(HANGS_FOR_S)
    place.resume()
    until(lambda: finished(campaign), within_s=90.0)
    report = campaign.report()
    counts = campaign.agrees(report)
    assert report["verdict"] == "pass", report["reasons"]
    assert counts["unknown"] == counts["unsent"] == 0
    campaign.each_said_once()
    for one in (*fleet.coordinators, *fleet.workers.values()):
        assert one.alive()
        assert not one.said("Traceback"), one.log.read_text()


def test_gone_for_longer_than_the_fence_engines_are_silent_and_the_rest_goes_on_afterwards(
    durable, fleet_on, until
) -> None:
    place = durable()
    fleet = fleet_on(place)
    fleet.ensure(workers=2)
    campaign = fleet.submit("gone", fence=f"{FENCE_S:g}s", duration="120s")
    watch = fleet.spawn("-m", "orchestrator", "watch", campaign.id)
    campaign.fact(f.PhaseStarted)
    until(lambda: watch.said("phase only: started"))  # or it never reached Redis
    more(campaign, until, than=100)
    place.kill()
    killed_ns = time.monotonic_ns()
    time.sleep(GONE_FOR_S)
    last_ns = max(line["received_ns"] for line in campaign.log())
    assert last_ns < killed_ns + SILENT_WITHIN_S * 1e9
    place.start()
    more(campaign, until, than=100)
    fleet.store.say(campaign.id, id_="abort", fact=f.AbortAsked(by="ada"))
    report = campaign.report()
    counts = campaign.agrees(report)
    assert counts["unknown"] == 0, "their workers lived, and told"
    gaps = campaign.states_gaps(report)
    assert {gap["shard"] for gap in gaps} == {0, 1}
    assert all(gap["until_s"] - gap["from_s"] > GONE_FOR_S - SILENT_WITHIN_S for gap in gaps), gaps
    assert watch.popen.wait(30) == EXIT_CODES["aborted"]
    for words in ("Redis does not answer, trying again", "Redis is back"):
        assert watch.said(words), watch.log.read_text()


def test_a_replica_given_as_the_broker_is_said_to_be_one_and_waited_for(
    durable, redis_server, fleet_on, until, monkeypatch
) -> None:
    primary = durable()
    lines = (f"replicaof 127.0.0.1 {primary.server.port}", "masterauth secret", "requirepass secret")
    replica = redis_server(*lines)
    place = At(replica.url(":secret"))
    fleet = fleet_on(place)
    words = "it is a replica and takes no writes: use the primary's address"
    parts = (fleet.coordinator(), fleet.worker("w1"))
    until(lambda: all(one.said(words) for one in parts))
    (fleet.folder / "brief.yaml").write_text(BRIEF.format(url=fleet.url))
    # how long a replica is given to become the primary
    monkeypatch.setattr(import_module("orchestrator.cli.submit"), "SENT_WITHIN_S", 1.0)
    refused = CliRunner().invoke(
        app, ["submit", str(fleet.folder / "brief.yaml")], env={"SHAKEOUT_BROKER": place.url}
    )
    assert refused.exit_code == 6, refused.output
    assert words in refused.output
    with redis.Redis.from_url(place.url) as asked:
        asked.replicaof("NO", "ONE")
    until(lambda: fleet.leader() and parts[1].said("ready"))
    report = fleet.submit("brief", duration="1s").report()
    assert report["verdict"] == "pass", report["reasons"]
    for one in parts:
        assert not one.said("Traceback"), one.log.read_text()
