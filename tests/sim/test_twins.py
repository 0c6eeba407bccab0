"""The simulated Redis answers as a real one does: the same calls, at random, on both."""

import random
import re

import pytest
import redis
from simulated.data import Data
from simulated.twins import TWINS, twin_of

from workers.contract.broker import names, scripts

CALLS = 800
ATTEMPTS = ("a:0:1", "a:0:2", "a:1:1")
WHO = ("one", "two", "-")
CARD = '{{"incarnation": "{}", "seen_s": {}}}'
_ID = re.compile(rb"\d{13}-\d+")


@pytest.fixture
def both(redis_client):
    """Calls a script here and there; the two answers, moments and entry ids taken out."""
    seconds, micros = redis_client.time()
    data = Data(lambda: seconds + micros / 1e6)

    def call(name, keys, args):
        text = getattr(scripts, name)
        ours = twin_of(text)(data, keys, [_ends(data, key) for key in args])
        theirs = redis_client.eval(text, len(keys), *keys, *[_ends(redis_client, key) for key in args])
        return _plain(ours), _plain(theirs)

    call.data, call.client, call.now_s = data, redis_client, seconds
    return call


def _ends(where, word):
    """A word as it is; of `end KEY` the newest id of that stream there."""
    if not isinstance(word, str) or not word.startswith("end "):
        return word
    newest = where.xrevrange(word[4:], count=1)
    return newest[0][0] if newest else "0-0"


def _plain(answer):
    if isinstance(answer, list):
        return [_plain(one) for one in answer]
    if isinstance(answer, int) and answer > 10**12:
        return "a moment"
    return _ID.sub(b"an entry", answer) if isinstance(answer, bytes) else answer


def _call(dice, now_s):
    c = "c"
    lead = (dice.choice((1, 2)), dice.choice(("n1", "n2")))
    attempt, who = dice.choice(ATTEMPTS), dice.choice(WHO)
    journal, ids, claims, leases = names.journal(c), names.fact_ids(c), names.claims(c), names.leases(c)
    number = dice.randrange(6)
    calls = {
        "CLAIM": ([claims, leases], [attempt, who, dice.choice((0, 1, (now_s + 100) * 1000))]),
        "RENEW": ([leases], list(ATTEMPTS)),
        "FACT": ([journal, ids, claims, names.INBOX], [f"f{number}", "{}", attempt * (number > 0), who, c]),
        "SNAPSHOT": ([f"s:{attempt}", claims], [attempt, who, f"1-{number + 1}", "body"]),
        "CARD": ([names.WORKERS], ["w", who, CARD.format(who, now_s - dice.choice((0, 10))), 4000]),
        "CARD_GONE": ([names.WORKERS], ["w", who]),
        "LEAD_ACQUIRE": ([names.LEADER, names.EPOCH], [lead[1], 60_000, dice.choice((0, 1, 3))]),
        "LEAD_RENEW": ([names.LEADER], [*lead, 60_000]),
        "LEAD_RELEASE": ([names.LEADER], lead),
        "LEAD_APPEND": (
            [names.LEADER, journal, ids],
            [*lead, dice.choice((f"end {journal}", "0-0")), f"f{number}", "{}", f"g{number}", "{}"],
        ),
        "LEAD_RESTORE": (
            [names.LEADER, journal, ids],
            [*lead, f"end {journal}", dice.choice(("1-1", "9999999999999-1")), dice.choice(("", "h1")), "{}"],
        ),
        "LEAD_REVOKE": ([names.LEADER, leases, claims], [*lead, attempt, dice.choice(("", "*", "5"))]),
        "LEAD_ORDER": ([names.LEADER, names.control("w")], [*lead, 100, 60, "order"]),
        "CHECKPOINT": (
            [names.LEADER, names.checkpoint(c), names.durable(c)],
            [*lead, "totals", dice.choice(("", "p1", "p2")), attempt, number],
        ),
        "LEAD_STORE": (
            [names.LEADER, names.results(c)], [*lead, "report", dice.choice((0, 3)), "abc", 60]
        ),
        "AUDIT": ([names.LEADER, names.AUDIT, names.AUDIT_IDS], [*lead, f"i{number}", 1.5, "{}", 100]),
        "LEAD_FINISH": (
            [names.LEADER, names.CAMPAIGNS, names.FINISHED, claims, leases, names.results(c)],
            [*lead, c, now_s, 60],
        ),
    }  # fmt: skip
    rare = {"LEAD_FINISH": 0.2, "LEAD_RELEASE": 0.4}
    weights = [rare.get(name, 1.0) for name in calls]
    name = dice.choices(list(calls), weights)[0]
    return name, *calls[name]


@pytest.mark.parametrize("seed", range(3))
def test_every_script_and_its_twin_answer_alike(both, seed):
    dice = random.Random(seed)
    answers = {}
    for _ in range(CALLS):
        name, keys, args = _call(dice, both.now_s)
        ours, theirs = both(name, keys, args)
        assert ours == theirs, f"{name} {keys} {args}"
        answers.setdefault(name, set()).add(str(theirs))
    assert answers.keys() == TWINS.keys()
    for key in (names.claims("c"), names.fact_ids("c"), names.durable("c"), names.checkpoint("c")):
        there = both.client.hgetall(key) if both.client.type(key) == b"hash" else both.client.smembers(key)
        assert (both.data.keys.get(key) or type(there)()) == there


def test_a_failover_forgets_what_no_wait_has_covered():
    now = [100.0]
    data = Data(lambda: now[0])
    data.hset("h", "a", 1)
    data.wait(1, 100)
    data.hset("h", "a", 2)
    entry = data.xadd("s", {"f": "x"})
    data.sadd("ids", "x")
    assert data.forget(0.0) == 5
    assert data.hgetall("h") == {b"a": b"1"}
    assert (data.xlen("s"), data.exists("ids")) == (0, 0)
    assert data.xadd("s", {"f": "x"}) == entry


def test_a_repeated_entry_is_refused_as_redis_does(redis_client):
    data = Data(lambda: 1.0)
    for where in (data, redis_client):
        where.xadd("s", {"f": "x"}, id="1-5")
        with pytest.raises(redis.ResponseError, match="equal or smaller"):
            where.xadd("s", {"f": "x"}, id="1-5")
