"""The scripts against a real Valkey: each promise of contract/scripts.py, one test a promise."""

import time

import pytest
import redis

from workers.contract import names, scripts

CAMPAIGN = "c1"
ATTEMPT = "peak:0:1"


def claim(client: redis.Redis, attempt: str = ATTEMPT, *, incarnation: str = "a", expires_ms: int = 0) -> int:
    keys = [names.claims(CAMPAIGN), names.leases(CAMPAIGN)]
    return client.eval(scripts.CLAIM, 2, *keys, attempt, incarnation, expires_ms)


def renew(client: redis.Redis, *attempts: str) -> list[int]:
    return client.eval(scripts.RENEW, 1, names.leases(CAMPAIGN), *attempts)


def fact(
    client: redis.Redis, identity: str, body: str = "{}", *, attempt: str = ATTEMPT, incarnation: str = "a"
) -> int:
    keys = [names.journal(CAMPAIGN), names.fact_ids(CAMPAIGN), names.claims(CAMPAIGN), names.INBOX]
    return client.eval(scripts.FACT, 4, *keys, identity, body, attempt, incarnation, CAMPAIGN)


def lead(client: redis.Redis, nonce: str = "n", lease_ms: int = 10_000) -> int:
    return client.eval(scripts.LEAD_ACQUIRE, 2, names.LEADER, names.EPOCH, nonce, lease_ms)


def append(client: redis.Redis, *, epoch: int, last: str, identity: str, nonce: str = "n") -> bytes | int:
    keys = [names.LEADER, names.journal(CAMPAIGN), names.fact_ids(CAMPAIGN)]
    return client.eval(scripts.LEAD_APPEND, 3, *keys, epoch, nonce, last, identity, "{}")


def test_an_attempt_is_claimed_by_one_incarnation_only(redis_client):
    assert claim(redis_client) == 1
    assert claim(redis_client) == 1
    assert claim(redis_client, incarnation="b") == 0
    assert redis_client.hget(names.claims(CAMPAIGN), ATTEMPT) == b"a"


def test_nothing_is_claimed_after_its_time(redis_client):
    now_ms = round(time.time() * 1000)
    assert claim(redis_client, expires_ms=now_ms - 1000) == 0
    assert not redis_client.exists(names.claims(CAMPAIGN), names.leases(CAMPAIGN))
    assert claim(redis_client, expires_ms=now_ms + 60_000) == 1


def test_a_lease_is_renewed_only_while_somebody_leads_and_nobody_took_it(redis_client):
    claim(redis_client)
    assert renew(redis_client, ATTEMPT, "other:0:1") == [-2, -1]
    epoch = lead(redis_client)
    (renewed_ms,) = renew(redis_client, ATTEMPT)
    assert abs(renewed_ms / 1000 - time.time()) < 5
    assert int(redis_client.hget(names.leases(CAMPAIGN), ATTEMPT)) == renewed_ms
    keys = [names.LEADER, names.leases(CAMPAIGN), names.claims(CAMPAIGN)]
    assert redis_client.eval(scripts.LEAD_REVOKE, 3, *keys, epoch, "n", ATTEMPT, renewed_ms) == 1
    assert renew(redis_client, ATTEMPT) == [-1]
    assert claim(redis_client) == 1  # the claim stays, so that the truth may still arrive
    assert renew(redis_client, ATTEMPT) == [-1]


def test_an_attempt_revoked_before_it_was_claimed_can_never_be_claimed(redis_client):
    epoch = lead(redis_client)
    keys = [names.LEADER, names.leases(CAMPAIGN), names.claims(CAMPAIGN)]
    assert redis_client.eval(scripts.LEAD_REVOKE, 3, *keys, epoch, "n", ATTEMPT, "") == 1
    assert claim(redis_client) == 0


def test_a_lease_that_was_renewed_since_it_was_seen_is_not_taken_away(redis_client):
    epoch = lead(redis_client)
    claim(redis_client)
    (seen_ms,) = renew(redis_client, ATTEMPT)
    keys = [names.LEADER, names.leases(CAMPAIGN), names.claims(CAMPAIGN)]
    for stale in ("", str(int(seen_ms) - 1)):
        assert redis_client.eval(scripts.LEAD_REVOKE, 3, *keys, epoch, "n", ATTEMPT, stale) == 0
    assert renew(redis_client, ATTEMPT)[0] >= seen_ms
    assert redis_client.eval(scripts.LEAD_REVOKE, 3, *keys, epoch, "n", ATTEMPT, "*") == 1


def test_nothing_of_an_ended_campaign_is_claimed_renewed_or_reported(redis_client):
    epoch = lead(redis_client)
    claim(redis_client)
    stream = names.snapshots(CAMPAIGN, "peak", 0)
    keys = [names.LEADER, names.CAMPAIGNS, names.FINISHED, names.claims(CAMPAIGN), names.leases(CAMPAIGN)]
    keys += [names.results(CAMPAIGN), stream]
    redis_client.zadd(names.CAMPAIGNS, {CAMPAIGN: 1})
    redis_client.xadd(stream, {"s": b"x"}, id="1-1")
    arguments = [epoch, "n", CAMPAIGN, 12.5, 60, "report.json", b"{}"]
    assert redis_client.eval(scripts.LEAD_FINISH, len(keys), *keys, 7, *arguments[1:]) == -1
    assert redis_client.eval(scripts.LEAD_FINISH, len(keys), *keys, *arguments) == 1
    assert renew(redis_client, ATTEMPT) == [-1]
    assert redis_client.eval(scripts.CLAIM, 2, keys[3], keys[4], "peak:1:1", "one", 0) == 0
    assert redis_client.eval(scripts.SNAPSHOT, 2, stream, keys[3], ATTEMPT, "one", "1-2", b"y") == -1
    assert redis_client.hgetall(names.results(CAMPAIGN)) == {b"report.json": b"{}"}
    assert (redis_client.zcard(names.CAMPAIGNS), redis_client.zscore(names.FINISHED, CAMPAIGN)) == (0, 12.5)
    assert all(0 < redis_client.ttl(key) <= 60 for key in (keys[3], keys[5], stream))


def test_a_fact_is_appended_once_and_wakes_the_leader(redis_client):
    claim(redis_client)
    assert fact(redis_client, "1", '{"x":1}') == 1
    assert fact(redis_client, "1", '{"x":1}') == 0
    assert [fields for _, fields in redis_client.xrange(names.journal(CAMPAIGN))] == [{b"f": b'{"x":1}'}]
    assert [fields for _, fields in redis_client.xrange(names.INBOX)] == [{b"c": CAMPAIGN.encode()}]


def test_a_fact_of_another_life_or_of_no_attempt_is_refused_but_a_persons_is_not(redis_client):
    claim(redis_client)
    assert fact(redis_client, "1", incarnation="b") == -1
    assert fact(redis_client, "2", attempt="other:0:1") == -1
    assert fact(redis_client, "3", attempt="", incarnation="") == 1
    assert redis_client.xlen(names.journal(CAMPAIGN)) == 1


def test_a_late_truth_about_a_lost_attempt_is_still_accepted(redis_client):
    claim(redis_client)
    redis_client.hdel(names.leases(CAMPAIGN), ATTEMPT)
    assert fact(redis_client, "exited") == 1


def test_a_snapshot_is_stored_once_and_only_by_its_claimant(redis_client):
    claim(redis_client)
    stream = names.snapshots(CAMPAIGN, "peak", 0)

    def put(identity: str, incarnation: str = "a") -> int:
        keys = [stream, names.claims(CAMPAIGN)]
        return redis_client.eval(scripts.SNAPSHOT, 2, *keys, ATTEMPT, incarnation, identity, b"\x00\xff")

    assert [put("1-1"), put("1-2"), put("1-1"), put("1-3", "b")] == [1, 1, 0, -1]
    assert redis_client.xrange(stream) == [(b"1-1", {b"s": b"\x00\xff"}), (b"1-2", {b"s": b"\x00\xff"})]


def test_one_coordinator_leads_and_the_epoch_grows(redis_client):
    first = lead(redis_client, "n1")
    assert lead(redis_client, "n1") == first
    assert lead(redis_client, "n2") == 0
    assert redis_client.eval(scripts.LEAD_RENEW, 1, names.LEADER, first, "n2", 1000) == -1
    assert redis_client.eval(scripts.LEAD_RENEW, 1, names.LEADER, first, "n1", 1000) == 1
    assert redis_client.eval(scripts.LEAD_RELEASE, 1, names.LEADER, first, "n1") == 1
    assert lead(redis_client, "n2") == first + 1


def test_a_decision_needs_the_lead_the_whole_journal_and_a_new_id(redis_client):
    epoch = lead(redis_client)
    last = append(redis_client, epoch=epoch, last="0-0", identity="d1").decode()
    assert append(redis_client, epoch=epoch, last="0-0", identity="d2") == -2
    assert append(redis_client, epoch=epoch, last=last, identity="d1") == -3
    assert append(redis_client, epoch=epoch + 1, last=last, identity="d2") == -1
    assert append(redis_client, epoch=epoch, last=last, identity="d2", nonce="other") == -1
    assert isinstance(append(redis_client, epoch=epoch, last=last, identity="d2"), bytes)


def test_a_checkpoint_is_all_or_nothing_and_keeps_its_parts_in_order(redis_client):
    epoch = lead(redis_client)
    keys = [names.LEADER, names.checkpoint(CAMPAIGN), names.durable(CAMPAIGN)]

    def store(nonce: str, totals: str, part: str, seq: int) -> int:
        return redis_client.eval(scripts.CHECKPOINT, 3, *keys, epoch, nonce, totals, part, ATTEMPT, seq)

    assert store("other", "t0", "p0", 1) == -1
    assert not redis_client.exists(*keys[1:])
    answers = [store("n", "t1", "p1", 3), store("n", "t2", "p2", 7), store("n", "t2", "p2", 7)]
    assert answers == [1, 1, 1]
    stored = {b"totals": b"t2", b"parts": b"2", b"part:p1": b"1", b"part:p2": b"2"}
    assert redis_client.hgetall(keys[1]) == stored
    assert redis_client.hget(keys[2], ATTEMPT) == b"7"


@pytest.mark.parametrize(("age_s", "answer"), [(1.0, 0), (60.0, 1)])
def test_a_name_belongs_to_its_holder_until_the_card_is_old(redis_client, age_s, answer):
    def show(incarnation: str, seen_s: float) -> int:
        card = f'{{"incarnation":"{incarnation}","seen_s":{seen_s}}}'
        return redis_client.eval(scripts.CARD, 1, names.WORKERS, "w1", incarnation, card, 4000)

    assert show("a", time.time() - age_s) == 1
    assert show("b", time.time()) == answer
    gone = redis_client.eval(scripts.CARD_GONE, 1, names.WORKERS, "w1", "b")
    assert gone == answer
