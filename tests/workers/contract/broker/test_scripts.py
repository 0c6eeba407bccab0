"""The scripts against a real Valkey: each promise of contract/scripts.py, one test a promise."""

import time

import pytest
import redis

from workers.contract.broker import names, scripts

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


def append(
    client: redis.Redis, *identities: str, epoch: int, last: str, nonce: str = "n"
) -> list[bytes | int] | int:
    keys = [names.LEADER, names.journal(CAMPAIGN), names.fact_ids(CAMPAIGN)]
    words = [word for identity in identities for word in (identity, f'{{"id":"{identity}"}}')]
    return client.eval(scripts.LEAD_APPEND, 3, *keys, epoch, nonce, last, *words)


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
    keys += [stream]
    redis_client.zadd(names.CAMPAIGNS, {CAMPAIGN: 1})
    redis_client.xadd(stream, {"s": b"x"}, id="1-1")
    arguments = [epoch, "n", CAMPAIGN, 12.5, 60]
    assert redis_client.eval(scripts.LEAD_FINISH, len(keys), *keys, 7, *arguments[1:]) == -1
    assert redis_client.eval(scripts.LEAD_FINISH, len(keys), *keys, *arguments) == 1
    assert renew(redis_client, ATTEMPT) == [-1]
    assert redis_client.eval(scripts.CLAIM, 2, keys[3], keys[4], "peak:1:1", "one", 0) == 0
    assert redis_client.eval(scripts.SNAPSHOT, 2, stream, keys[3], ATTEMPT, "one", "1-2", b"y") == -1
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
    last = append(redis_client, "d1", epoch=epoch, last="0-0")[0].decode()
    assert append(redis_client, "d2", epoch=epoch, last="0-0") == -2
    assert append(redis_client, "d1", epoch=epoch, last=last) == [-3, b"d1"]
    assert append(redis_client, "d2", epoch=epoch + 1, last=last) == -1
    assert append(redis_client, "d2", epoch=epoch, last=last, nonce="other") == -1
    assert isinstance(append(redis_client, "d2", epoch=epoch, last=last)[0], bytes)


def test_decisions_appended_together_are_all_appended_or_none(redis_client):
    epoch = lead(redis_client)
    journal, ids = names.journal(CAMPAIGN), names.fact_ids(CAMPAIGN)
    (last,) = append(redis_client, "d1", epoch=epoch, last="0-0")
    assert append(redis_client, "d0", "d1", "d2", epoch=epoch, last=last) == [-3, b"d1"]
    assert append(redis_client, "d0", "d2", epoch=epoch, last="0-0") == -2
    assert append(redis_client, "d0", "d2", epoch=epoch + 1, last=last) == -1
    assert (redis_client.xlen(journal), redis_client.smembers(ids)) == (1, {b"d1"})
    entries = append(redis_client, "d0", "d2", epoch=epoch, last=last)
    bodies = [(id_, fields[b"f"]) for id_, fields in redis_client.xrange(journal)]
    assert bodies[1:] == list(zip(entries, (b'{"id":"d0"}', b'{"id":"d2"}'), strict=True))
    assert redis_client.smembers(ids) == {b"d0", b"d1", b"d2"}


def test_a_result_is_stored_piece_by_piece_and_anew_by_whoever_begins_again(redis_client):
    epoch = lead(redis_client)
    keys = [names.LEADER, names.results(CAMPAIGN)]

    def store(before: int, piece: bytes, nonce: str = "n") -> int:
        return redis_client.eval(scripts.LEAD_STORE, 2, *keys, epoch, nonce, "report.json", before, piece, 60)

    assert store(0, b"{}", nonce="other") == -1
    assert store(2, b"late") == -2
    assert [store(0, b"\x00one"), store(4, b"two")] == [1, 1]
    assert store(4, b"two") == -2, "a piece that came twice is not stored twice"
    assert redis_client.hget(keys[1], "report.json") == b"\x00onetwo"
    assert store(0, b"again") == 1
    assert redis_client.hget(keys[1], "report.json") == b"again"
    assert 0 < redis_client.ttl(keys[1]) <= 60


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


def snapshot(client: redis.Redis, seq: int) -> int:
    keys = [names.snapshots(CAMPAIGN, "peak", 0), names.claims(CAMPAIGN)]
    return client.eval(scripts.SNAPSHOT, 2, *keys, ATTEMPT, "a", f"1-{seq}", "x" * 100)


@pytest.mark.parametrize("kind", ["valkey", "redis-7", "redis-6.2"])
def test_a_full_server_takes_what_keeps_campaigns_going_and_few_snapshots(redis_server, kind):
    server = redis_server("maxmemory-policy noeviction", kind=kind)
    with redis.Redis.from_url(server.url()) as client:
        epoch = lead(client)
        client.config_set("maxmemory", "1")
        with pytest.raises(redis.ResponseError, match="maxmemory"):
            client.set("anything", "x")
        assert claim(client) == 1
        assert renew(client, ATTEMPT)[0] > 0
        assert fact(client, "1") == 1
        with pytest.raises(redis.ResponseError, match="maxmemory"):
            fact(client, "submitted", attempt="")
        (last,) = client.xrevrange(names.journal(CAMPAIGN), count=1)
        assert len(append(client, "2", epoch=epoch, last=last[0].decode())) == 1
        taken = [snapshot(client, seq) for seq in range(1, scripts.SNAPSHOTS_OVERDRAWN + 1)]
        assert taken == [1] * scripts.SNAPSHOTS_OVERDRAWN
        with pytest.raises(redis.ResponseError, match="maxmemory"):
            snapshot(client, len(taken) + 1)
        client.xtrim(names.snapshots(CAMPAIGN, "peak", 0), minid="1-10", approximate=False)
        assert snapshot(client, len(taken) + 1) == 1
        client.delete(names.LEADER)
        assert lead(client) == epoch + 1


def test_a_higher_epoch_than_any_known_is_taken_from_a_server_that_forgot_its_last(redis_client):
    lead(redis_client)
    redis_client.flushall()
    keys = [names.LEADER, names.EPOCH]
    assert redis_client.eval(scripts.LEAD_ACQUIRE, 2, *keys, "n", 10_000, 7) == 8
    assert redis_client.hget(names.LEADER, "epoch") == redis_client.get(names.EPOCH) == b"8"
    redis_client.delete(names.LEADER)
    assert redis_client.eval(scripts.LEAD_ACQUIRE, 2, *keys, "n", 10_000, 3) == 9


def test_what_a_journal_lost_is_written_again_under_its_own_ids_or_after_what_came_since(redis_client):
    epoch = lead(redis_client)
    keys = [names.LEADER, names.journal(CAMPAIGN), names.fact_ids(CAMPAIGN)]

    def restore(last: str, *words: str) -> bytes | int:
        return redis_client.eval(scripts.LEAD_RESTORE, 3, *keys, epoch, "n", last, *words)

    assert restore("0-0", "5-0", "a:claimed:1", "{}", "6-1", "", "{}") == b"6-1"
    assert redis_client.smembers(names.fact_ids(CAMPAIGN)) == {b"a:claimed:1"}
    assert restore("5-0", "7-0", "", "{}") == -2
    newer = restore("6-1", "6-0", "", "{}")
    assert [id_ for id_, _ in redis_client.xrange(names.journal(CAMPAIGN))] == [b"5-0", b"6-1", newer]
    redis_client.delete(names.LEADER)
    assert restore(newer.decode(), "8-0", "", "{}") == -1


def test_that_a_campaign_has_ended_is_remembered_for_a_month(redis_client):
    epoch = lead(redis_client)
    now_s = 2 * scripts.FINISHED_KEPT_S
    redis_client.zadd(names.FINISHED, {"old": 5, "lately": now_s - 60})
    keys = [names.LEADER, names.CAMPAIGNS, names.FINISHED, names.claims(CAMPAIGN), names.leases(CAMPAIGN)]
    assert redis_client.eval(scripts.LEAD_FINISH, len(keys), *keys, epoch, "n", CAMPAIGN, now_s, 60) == 1
    assert redis_client.zrange(names.FINISHED, 0, -1) == [b"lately", CAMPAIGN.encode()]
