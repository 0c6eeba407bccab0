"""Who may take a worker out of the fleet, and which life of it is meant."""

import secrets

import pytest
from msgspec import structs

from workers.contract.signed.drains import DrainAsked, Drains, encode_drain, sign_drain
from workers.contract.signed.signing import NO_KEYS, SKEW_S, SignatureError, read_keys

NOW_S = 1000.0
ADA, EVE = (read_keys(f"{name}={secrets.token_hex(32)}") for name in ("ada", "eve"))
ASKED = DrainAsked("w1", "life", by="ada", why="a new kernel", at_s=NOW_S)


@pytest.fixture
def drains():
    """What a worker of a fleet with keys reads its field with."""
    return Drains(ADA, worker="w1", incarnation="life")


def test_a_signed_drain_for_this_life_counts_once(drains):
    body = encode_drain(sign_drain(ASKED, keys=ADA))
    found = drains.read(body, now_s=NOW_S)
    assert found.words() == "asked by ada: a new kernel"
    assert drains.read(body, now_s=NOW_S) is None
    assert drains.read(None, now_s=NOW_S) is None


def test_a_drain_stands_for_as_long_as_that_life_does(drains):
    body = encode_drain(sign_drain(ASKED, keys=ADA))
    assert drains.read(body, now_s=NOW_S + 1e6) is not None


@pytest.mark.parametrize("changed", [{"worker": "w2"}, {"incarnation": "another"}])
def test_a_drain_of_another_worker_or_life_is_passed_over(drains, changed):
    body = encode_drain(sign_drain(structs.replace(ASKED, **changed), keys=ADA))
    assert drains.read(body, now_s=NOW_S) is None


@pytest.mark.parametrize(
    "asked",
    [
        ASKED,
        sign_drain(ASKED, keys=EVE),
        structs.replace(sign_drain(ASKED, keys=ADA), why="another reason"),
        structs.replace(sign_drain(structs.replace(ASKED, incarnation="past"), keys=ADA), incarnation="life"),
        sign_drain(structs.replace(ASKED, at_s=NOW_S + SKEW_S + 1), keys=ADA),
    ],
)
def test_what_nobody_trusted_has_signed_does_not_count_and_is_said_once(drains, asked):
    body = encode_drain(asked)
    with pytest.raises(SignatureError, match="a drain in Redis does not count"):
        drains.read(body, now_s=NOW_S)
    assert drains.read(body, now_s=NOW_S) is None


def test_what_cannot_be_read_is_said_too(drains):
    with pytest.raises(SignatureError, match="cannot be read"):
        drains.read(b"{}", now_s=NOW_S)


def test_a_fleet_without_keys_believes_anybody():
    drains = Drains(NO_KEYS, worker="w1", incarnation="life")
    assert drains.read(encode_drain(ASKED), now_s=NOW_S) == ASKED
