"""What a renewal is worth, against a real server."""

import time

import pytest

from workers.contract.broker import names, scripts
from workers.fleet import renewals
from workers.fleet.renewals import TAKEN, WORTHLESS, Renewals

CAMPAIGN, ATTEMPT = "c-1", "peak:0:1"


@pytest.fixture
def renew(redis_client):
    """Renews the one attempt of a campaign that is claimed and led."""
    redis_client.zadd(names.CAMPAIGNS, {CAMPAIGN: 1})
    redis_client.hset(names.LEADER, mapping={"epoch": "1", "nonce": "n"})
    keys = [names.claims(CAMPAIGN), names.leases(CAMPAIGN)]
    redis_client.eval(scripts.CLAIM, 2, *keys, ATTEMPT, "one", "0")
    held = Renewals("w1", replicated=False)
    return lambda: held.renew(redis_client, {CAMPAIGN: [ATTEMPT]}).answers[CAMPAIGN]


def test_a_renewal_counts_while_somebody_leads_and_the_campaign_is_there(redis_client, renew):
    (at_ms,) = renew()
    assert abs(at_ms / 1000 - time.time()) < 5
    redis_client.delete(names.LEADER)
    assert renew() == [WORTHLESS]
    redis_client.hset(names.LEADER, "epoch", "2")
    assert renew()[0] > 0
    redis_client.hdel(names.leases(CAMPAIGN), ATTEMPT)
    assert renew() == [TAKEN]


def test_attempts_of_a_campaign_that_redis_does_not_know_end_after_a_while(redis_client, renew, monkeypatch):
    redis_client.zrem(names.CAMPAIGNS, CAMPAIGN)
    assert renew() == [WORTHLESS]
    redis_client.zadd(names.CAMPAIGNS, {CAMPAIGN: 1})
    assert renew()[0] > 0, "a leader put it back"
    redis_client.zrem(names.CAMPAIGNS, CAMPAIGN)
    monkeypatch.setattr(renewals, "FORGOTTEN_AFTER_S", 0.0)
    assert renew() == [WORTHLESS]
    assert renew() == [TAKEN]
