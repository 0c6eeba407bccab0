"""What a signature is over: every field of a fact and of a task, and the campaign; and who may do without."""

import msgspec
import pytest

from workers.contract.errors import ContractError
from workers.contract.facts import AbortAsked, Accepted, Noted, Submitted
from workers.contract.files.traces import Trace
from workers.contract.signed.signing import NO_KEYS, SignatureError, read_keys
from workers.contract.signed.trust import (
    SUBMISSION_COUNTS_S,
    WORD_COUNTS_S,
    KeyMissingError,
    check_fact,
    check_task,
    is_loopback,
    open_snapshot,
    require_keys,
    seal_snapshot,
    sign_fact,
    sign_task,
    submission_sha256,
)
from workers.contract.spec import ShardTask

NOW_S = 1000.0
KEYS = read_keys("ops=a-secret-of-the-fleet")
EVE = read_keys("eve=a-secret-of-nobody-here")
SUBMITTED = Submitted(
    campaign="c-1", text="campaign: c", sets=("seed=1",), seed=3, by="ada", files={"a": ("00", 1)},
    urls={"chat": "http://127.0.0.1:1"}, cases={"golden": 4}, labels={"team": "x"}, max_time_s=60.0,
    traces={"load": Trace("00", 9, "t.csv", 2, 1.0, 2.0, 2.0, 1000)}, at_s=NOW_S,
)  # fmt: skip
FACTS = (
    SUBMITTED,
    AbortAsked(by="ada", why="enough", at_s=NOW_S),
    Noted(by="ada", text="look", at_s=NOW_S),
    Accepted(key="ops", submission="00", at_s=NOW_S),
)
TASK = ShardTask(
    campaign="c-1", activity="steady", shard=1, of=2, number=1, attempt="steady:1:1", worker="w1",
    incarnation="one", spec_sha256="00", kind="load", expires_s=NOW_S + 60, probe=True, skip_rows=(1,),
)  # fmt: skip
OTHER = {
    str: lambda value: value + "x", int: lambda value: value + 1, float: lambda value: value + 1,
    bool: lambda value: not value, tuple: lambda value: (*value, *value),
    dict: lambda value: {f"{key}x": one for key, one in value.items()},
}  # fmt: skip


def fields(of) -> list[str]:
    return [name for name in of.__struct_fields__ if name != "signature"]


def altered(thing, name: str):
    value = getattr(thing, name)
    return msgspec.structs.replace(thing, **{name: OTHER[type(value)](value)})


def signed(fact, *, keys=KEYS, campaign="c-1"):
    return sign_fact(fact, campaign=campaign, keys=keys, now_s=NOW_S)


def check(fact, *, campaign="c-1", now_s=NOW_S):
    return check_fact(fact, campaign=campaign, keys=KEYS, now_s=now_s)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_a_signed_fact_holds_and_an_unsigned_or_foreign_one_does_not(fact):
    assert check(signed(fact)).key.startswith("ops")
    assert msgspec.structs.replace(signed(fact), signature="") == fact
    with pytest.raises(SignatureError, match="is not signed"):
        check(fact)
    with pytest.raises(SignatureError, match="foreign"):
        check(signed(fact, keys=EVE))


@pytest.mark.parametrize(("fact", "name"), [(fact, name) for fact in FACTS for name in fields(fact)])
def test_no_field_of_a_fact_can_be_altered(fact, name):
    with pytest.raises(SignatureError, match="altered"):
        check(altered(signed(fact), name))


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_a_fact_counts_in_its_own_campaign_alone(fact):
    with pytest.raises(SignatureError, match="altered"):
        check(signed(fact), campaign="c-2")


@pytest.mark.parametrize(
    ("fact", "counts_s"),
    [(FACTS[0], SUBMISSION_COUNTS_S), (FACTS[1], WORD_COUNTS_S), (FACTS[2], WORD_COUNTS_S)],
)
def test_what_people_say_counts_for_so_long_and_an_acceptance_for_ever(fact, counts_s):
    assert check(signed(fact), now_s=NOW_S + counts_s)
    with pytest.raises(SignatureError, match="expired"):
        check(signed(fact), now_s=NOW_S + counts_s + 1)
    assert check(signed(FACTS[3]), now_s=NOW_S + 1e9)


def test_a_remark_is_no_abort_even_where_the_bytes_are_the_same():
    abort = signed(AbortAsked(by="ada"))
    with pytest.raises(SignatureError):
        check(Noted(by="ada", text="", signature=abort.signature))


def test_the_hash_of_a_submission_is_of_what_was_submitted_and_not_of_its_signature():
    assert submission_sha256(signed(SUBMITTED), "c-1") == submission_sha256(SUBMITTED, "c-1")
    assert submission_sha256(altered(SUBMITTED, "text"), "c-1") != submission_sha256(SUBMITTED, "c-1")


def test_a_task_holds_until_it_expires():
    task = sign_task(TASK, keys=KEYS)
    assert check_task(task, keys=KEYS, now_s=NOW_S + 60)
    with pytest.raises(SignatureError, match="expired"):
        check_task(task, keys=KEYS, now_s=NOW_S + 61)


@pytest.mark.parametrize("name", fields(TASK))
def test_no_field_of_a_task_can_be_altered(name):
    with pytest.raises(SignatureError, match="altered"):
        check_task(altered(sign_task(TASK, keys=KEYS), name), keys=KEYS, now_s=NOW_S)


@pytest.mark.parametrize("task", [TASK, sign_task(TASK, keys=EVE)])
def test_an_unsigned_or_foreign_task_is_refused(task):
    with pytest.raises(SignatureError, match=r"not signed|foreign"):
        check_task(task, keys=KEYS, now_s=NOW_S)


@pytest.mark.parametrize(
    ("broker", "here"),
    [
        ("redis://127.0.0.1:6379/0", True),
        ("redis://:secret@127.8.9.10", True),
        ("redis://localhost:6379", True),
        ("rediss://LOCALHOST./0", True),
        ("redis://[::1]:6379/0", True),
        ("unix:///run/redis.sock", True),
        ("redis://", True),
        ("sentinel://127.0.0.1:1,[::1]:2/main", True),
        ("sentinel://127.0.0.1:1,10.0.0.2:2/main", False),
        ("redis://10.0.0.1/0", False),
        ("redis://0.0.0.0/0", False),
        ("redis://localhost.example.com/0", False),
        ("redis://127.0.0.1.example.com/0", False),
        ("redis://127.0.0.1@redis.example.com/0", False),
        ("rediss://redis.internal:6380/0", False),
    ],
)
def test_only_a_broker_on_loopback_is_this_machines_own(broker, here):
    assert is_loopback(broker) is here


def test_where_others_reach_the_broker_keys_are_required_and_how_to_make_one_is_said():
    assert require_keys(KEYS, broker="redis://redis.internal/0") == ""
    assert "nothing is signed" in require_keys(NO_KEYS, broker="redis://:pass@127.0.0.1/0")
    with pytest.raises(KeyMissingError) as error:
        require_keys(NO_KEYS, broker="redis://ada:hush@redis.internal/0")
    assert "secrets.token_hex(32)" in str(error.value)
    assert "SHAKEOUT_SIGNING_KEY" in str(error.value)
    assert "hush" not in str(error.value)


def test_an_address_that_cannot_be_read_is_no_loopback():
    with pytest.raises(ContractError, match="cannot be read"):
        require_keys(NO_KEYS, broker="gopher://x")


# snapshots

PLACE = {"stream": "shakeout:c:c-1:snap:peak:0", "id_": "1-7"}


def test_a_sealed_snapshot_opens_at_its_place_and_nowhere_else():
    said = seal_snapshot(b"\x93abc", keys=KEYS, **PLACE)
    assert open_snapshot(said, keys=KEYS, **PLACE) == b"\x93abc"
    for other in ({"stream": "shakeout:c:c-2:snap:peak:0"}, {"id_": "1-8"}):
        with pytest.raises(SignatureError, match="altered"):
            open_snapshot(said, keys=KEYS, **(PLACE | other))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x93abc",
        b"S",
        b"Sabc",
        b"S.\n\x93abc",
        b"S" + b"x" * 100_000,
        seal_snapshot(b"a", keys=EVE, **PLACE),
    ],
)
def test_a_snapshot_that_no_worker_sealed_is_none(said):
    with pytest.raises(SignatureError):
        open_snapshot(said, keys=KEYS, **PLACE)


def test_without_keys_a_snapshot_stands_as_it_is():
    assert seal_snapshot(b"\x93abc", keys=NO_KEYS, **PLACE) == b"\x93abc"
    assert open_snapshot(b"\x93abc", keys=NO_KEYS, **PLACE) == b"\x93abc"
