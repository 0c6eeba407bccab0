"""What stays in Redis: nothing of an ended campaign for ever, nothing that grows without a coordinator."""

import re
import time

import redis

from workers.contract import facts as f
from workers.contract.broker import names

STAYS = re.compile(
    r"shakeout:(leader|epoch|finished|workers|coordinators|runs|audit|audit:.*|pruned|halt|drain|doctor:.*|flower)"
    r"|_kombu\..*|.*\.dq2|unacked.*"
)
"""Of the fleet itself: one of each, or one a worker, and bounded."""
FENCE_S = 2.0


def for_ever(client: redis.Redis) -> set[str]:
    """Keys that nothing will ever take away."""
    return {key.decode() for key in client.scan_iter(count=1000) if client.ttl(key) == -1}


def test_of_an_ended_campaign_nothing_stays_for_ever_and_nothing_grows_without_a_coordinator(
    fleet, until
) -> None:
    fleet.ensure()
    campaign = fleet.submit("tidy", fence=f"{FENCE_S:g}s", duration="12s")
    campaign.fact(f.PhaseStarted)
    until(lambda: len(campaign.log()) > 60)
    client = fleet.store.client
    fleet.leader().kill()
    until(
        lambda: all(one.exited is not None for one in _attempts(campaign))
    )  # silent by themselves, and told
    streams = [names.snapshots(campaign.id, "tidy", shard) for shard in (0, 1)]
    until(lambda: all(client.exists(key) for key in streams))
    before = {key: client.xlen(key) for key in streams}
    assert sum(before.values()) < 40
    time.sleep(3.0)
    assert {key: client.xlen(key) for key in streams} == before
    fleet.ensure()
    campaign.agrees(campaign.report(within_s=60.0))
    until(lambda: client.zscore(names.CAMPAIGNS, campaign.id) is None)
    kept = {key for key in for_ever(client) if not STAYS.fullmatch(key)}
    assert kept == set()


def _attempts(campaign) -> list:
    return [one for one in campaign.state().attempts.values() if one.number == 1]
