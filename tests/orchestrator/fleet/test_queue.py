"""Campaigns that want one target, or too much of it: on a real fleet, by the target's own log."""

import subprocess
import sys
from collections import Counter

import pytest

from orchestrator.overview.read import campaign_lines, read_live
from orchestrator.store.store import Store
from orchestrator.verdict import EXIT_CODES
from workers.contract import facts as f

SOON_S = 15.0
SHARED = """\
campaign: {name}
share_target: true
validity: {{lag_p99: 10s, start_skew: 10s}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 1s, rate_limit: 100/s}}
phases:
  - name: only
    activities:
      - name: {name}
        kind: load
        target: chat
        shards: 1
        arrivals: {{process: constant, rate: 40/s}}
        duration: 6s
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
        slos: ["success_rate >= 50%"]
"""
CLOSED = """\
campaign: closed
validity: {{lag_p99: 10s, start_skew: 10s}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 1s}}
phases:
  - name: only
    activities:
      - name: closed
        kind: load
        target: chat
        shards: 1
        where: {{label: held}}
        arrivals: {{process: closed, users: 4}}
        duration: 3s
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
"""
HELD = "duration: 6s\n        where: {label: held}"


@pytest.fixture(scope="module")
def crew(the_fleet):
    """Two workers and a leader."""
    the_fleet.ensure(coordinators=1, workers=2)
    return the_fleet


def waits(campaign):
    """What those who watch are shown, once there is a word of it."""
    view = read_live(campaign.fleet.store, campaign.id)
    return view.waits[0] if view is not None and view.waits else ""


def opened_s(campaign):
    """When its first phase was opened."""
    return campaign.facts(f.PhaseOpened)[0].at_s


def ended_s(campaign):
    """When nothing of it worked any more."""
    return campaign.facts(f.Ended)[0].at_s


def test_a_target_is_one_campaigns_and_those_that_wait_go_by_priority(crew, until):
    first = crew.submit("first", duration="60s")
    first.fact(f.PhaseStarted)
    low = crew.submit("low", duration="1s")
    high = crew.submit("high", top="priority: 5\n", duration="1s")
    late = crew.submit("late", duration="1s", options={"max_time_s": 1.0})
    tired = crew.submit("tired", duration="1s")

    until(lambda: waits(high), within_s=SOON_S)
    assert waits(high) == f"waits for campaign {first.id} (by tests), which holds target {crew.url}"
    assert waits(low).startswith(f"waits for campaign {first.id} (by tests)")
    lines = {line.id: line for line in campaign_lines(Store(crew.server.url), labels={}, limit=10)}
    assert lines[low.id].state == lines[high.id].state == "queued"
    assert first.id in lines[low.id].note

    crew.store.say(tired.id, id_="abort", fact=f.AbortAsked(by="ada", why="too long"))
    assert tired.report()["exit_code"] == EXIT_CODES["aborted"]
    assert tired.fact(f.Aborting).why == "aborted by ada: too long"
    assert late.fact(f.Aborting).why.startswith("stopped by --max-time 1s, before it began: waits for")
    assert late.report()["verdict"] == "invalid"
    assert not tired.facts(f.PhaseOpened)
    assert not late.facts(f.Placed)
    crew.store.say(first.id, id_="abort", fact=f.AbortAsked(by="ada"))

    for campaign in (first, high, low):
        campaign.agrees(campaign.report())
    assert low.report()["campaign"]["waited_s"] > 1.0
    assert ended_s(first) <= opened_s(high)
    assert ended_s(high) <= opened_s(low)


def test_campaigns_that_share_a_target_go_together_as_far_as_its_ceiling_lets_them(crew, until):
    one, two = (crew.submit_text(SHARED.format(name=name, url=crew.url), name) for name in ("one", "two"))
    one.fact(f.PhaseOpened)
    two.fact(f.PhaseOpened)
    three = crew.submit_text(SHARED.format(name="three", url=crew.url), "three")
    until(lambda: waits(three), within_s=SOON_S)
    assert f"target {crew.url} is to get at most 100/s" in waits(three)
    for campaign in (one, two, three):
        campaign.agrees(campaign.report())
    assert opened_s(two) < ended_s(one), "they never ran together"
    assert min(ended_s(one), ended_s(two)) <= opened_s(three)
    assert busiest((one, two, three), 2.0) <= 100 * (2.0 + 1.0)


def test_a_new_leader_lets_nobody_in_before_their_turn(crew, until):
    crew.ensure(coordinators=2, workers=2)
    first = crew.submit("before", duration="8s", fence="20s")
    first.fact(f.PhaseStarted)
    second = crew.submit("after", duration="1s")
    until(lambda: waits(second), within_s=SOON_S)
    crew.leader().kill()
    for campaign in (first, second):
        campaign.agrees(campaign.report())
    assert ended_s(first) <= opened_s(second)


@pytest.fixture
def held(crew, until):
    """A worker whose own operator lets it send the target 20/s over its two slots."""
    limit = f"{crew.url.removeprefix('http://')}=20/s"
    argv = ("-m", "workers", "--name", "held", "--slots", "2", "--label", "held", "--target-limit", limit)
    process = crew.spawn(*argv, SHAKEOUT_HOME=str(crew.folder / "home-held"))
    crew.workers["held"] = process
    until(lambda: process.said("ready"))
    yield process
    crew.workers.pop("held")
    process.kill()


def test_a_worker_sends_no_more_than_its_own_operator_lets_it_whatever_the_campaign_says(crew, held):
    campaign = crew.submit_text(CLOSED.format(url=crew.url), "closed")
    (warning,) = [one for one in campaign.report()["activities"]["closed"]["warnings"] if "limit" in one]
    assert "--target-limit" in warning
    sent = len(campaign.log())
    assert 5 < sent <= 10 * 3 + 4, "a slot's half of 20/s, for 3 s"
    file = crew.folder / "scheduled.yaml"
    file.write_text(SHARED.format(name="scheduled", url=crew.url).replace("duration: 6s", HELD))
    said = shakeout(crew, "plan", str(file), "--broker", crew.server.url)
    assert "held may send" in said
    assert "10/s a slot, as its operator says, a shard has 40/s" in said


def shakeout(fleet, *words):
    """What the command says on stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        capture_output=True, text=True, timeout=60, check=False, cwd=fleet.folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def busiest(campaigns, span_s):
    """The most requests that the target received of them in any span of that length."""
    moments = sorted(line["received"] for campaign in campaigns for line in campaign.log())
    counts = Counter()
    for place, moment in enumerate(moments):
        counts[place] = sum(moment <= other < moment + span_s for other in moments[place:])
    return max(counts.values(), default=0)
