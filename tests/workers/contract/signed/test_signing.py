"""Signatures: whatever is not exactly what a trusted key signed, for this purpose and in time, is refused."""

import pytest

from workers.contract.errors import ContractError
from workers.contract.signed.signing import (
    NO_KEYS,
    SKEW_S,
    Key,
    Keys,
    SignatureError,
    check,
    check_seal,
    key_id,
    read_keys,
    seal,
    sign,
)

NOW_S = 1000.0
OURS = read_keys("ops=first-secret-of-ours,old=second-secret-of-ours")
BODY = b"what is said"


def signed(*, keys: Keys = OURS, **given) -> str:
    return sign(
        BODY, **{"purpose": "submission", "keys": keys, "at_s": NOW_S, "expires_s": NOW_S + 60} | given
    )


def checked(token: str, body: bytes = BODY, **given):
    return check(token, body, **{"purpose": "submission", "keys": OURS, "now_s": NOW_S} | given)


def test_what_a_trusted_key_signed_holds_and_says_whose_key_and_when():
    found = checked(signed())
    assert (found.key, found.at_s) == (f"ops ({OURS.keys[0].id})", NOW_S)


def test_the_first_key_signs_and_all_are_accepted_so_that_keys_can_be_rotated():
    assert checked(signed(keys=Keys(OURS.keys[1:]))).key.startswith("old (")
    assert checked(signed(), keys=Keys(OURS.keys[:1]))
    with pytest.raises(SignatureError, match="foreign"):
        checked(signed(), keys=Keys(OURS.keys[1:]))


@pytest.mark.parametrize(
    ("token", "body", "given", "words"),
    [
        ("", BODY, {}, "the submission is not signed: set SHAKEOUT_SIGNING_KEY"),
        (signed(), b"what is Said", {}, "was altered after key ops"),
        (signed(keys=read_keys("eve=a-secret-of-somebody-else")), BODY, {}, "the foreign key "),
        (signed(), BODY, {"now_s": NOW_S + 61}, "expired 1 s ago"),
        (signed(at_s=NOW_S + SKEW_S + 2), BODY, {}, "signed 7 s ahead of the common clock"),
        (signed(), BODY, {"purpose": "task"}, "the signature of the task is not one of key ops"),
        ("no.token", BODY, {}, "cannot be read"),
        ("....", BODY, {}, "cannot be read"),
        ("\udcff.x", BODY, {}, "cannot be read"),
    ],
)
def test_all_else_is_refused_in_words(token, body, given, words):
    with pytest.raises(SignatureError, match=words):
        checked(token, body, **given)


def test_a_signature_counts_to_its_last_moment_and_for_ever_where_it_says_no_end():
    assert checked(signed(), now_s=NOW_S + 60)
    assert checked(signed(expires_s=0.0), now_s=NOW_S * 1e6)
    assert checked(signed(at_s=NOW_S + SKEW_S))


@pytest.mark.parametrize("place", range(0, len(signed()), 7))
def test_no_character_of_a_token_can_be_exchanged(place):
    token = signed()
    other = "A" if token[place] != "A" else "B"
    with pytest.raises(SignatureError):
        checked(token[:place] + other + token[place + 1 :])


def test_a_claim_under_the_name_of_a_trusted_key_needs_that_key():
    forged = signed(keys=Keys((Key("a-guess", "ops"),)))
    payload = signed().rpartition(".")[0]
    with pytest.raises(SignatureError, match="is not one of key ops"):
        checked(f"{payload}.{forged.rpartition('.')[2]}")


def test_without_keys_nothing_is_signed_and_anybodys_word_is_taken():
    assert signed(keys=NO_KEYS) == ""
    assert checked("", keys=NO_KEYS).key == ""
    assert NO_KEYS.and_also(OURS) == NO_KEYS


def test_more_keys_are_accepted_beside_ones_own_but_never_sign():
    both = Keys(OURS.keys[:1]).and_also(read_keys("ada=a-key-of-a-person"))
    assert both.own == OURS.keys[0]
    assert [key.name for key in both.keys] == ["ops", "ada"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("secret", [("", "secret")]),
        (" a=one , two,", [("a", "one"), ("", "two")]),
        ("c2VjcmV0IQ==", [("", "c2VjcmV0IQ==")]),
        ("ops=c2VjcmV0IQ==", [("ops", "c2VjcmV0IQ==")]),
        ("ops=a=b", [("ops", "a=b")]),
        ("k8s-prod_1=x", [("k8s-prod_1", "x")]),
        ("p/q=x", [("", "p/q=x")]),
    ],
)
def test_keys_are_read_with_or_without_a_name(text, found):
    assert [(key.name, key.secret) for key in read_keys(text).keys] == found


def test_a_key_that_cannot_be_read_is_told_by_its_place_and_never_shown():
    with pytest.raises(ContractError, match="signing key 2 holds characters") as error:
        read_keys("good,bad\x00one")
    assert "one" not in str(error.value).replace("holds", "")


def test_no_secret_is_shown_by_anything_that_holds_it():
    secret = OURS.keys[0].secret
    for shown in (repr(OURS), str(OURS.keys[0]), repr(OURS.keys[0]), OURS.keys[0].id, signed()):
        assert secret not in shown
    with pytest.raises(SignatureError) as refused:
        checked("")
    assert secret not in str(refused.value)


# seals


@pytest.mark.parametrize(
    ("token", "body", "purpose", "words"),
    [
        ("", BODY, "order", "is not signed"),
        (seal(BODY, purpose="order", keys=OURS), b"other", "order", "altered"),
        (seal(BODY, purpose="decision", keys=OURS), BODY, "order", "altered"),
        (
            seal(BODY, purpose="order", keys=read_keys("eve=a-secret-of-nobody-here")),
            BODY,
            "order",
            "foreign",
        ),
        (f"{OURS.keys[0].id}.", BODY, "order", "altered"),
        ("x" * 10_000, BODY, "order", "foreign key 'xxxxxxxx'"),
        ("\x1b[2J.x", BODY, "order", r"foreign key '\\x1b\[2J'"),
    ],
)
def test_only_a_seal_of_ours_over_the_same_for_the_same_purpose_holds(token, body, purpose, words):
    with pytest.raises(SignatureError, match=words):
        check_seal(token, body, purpose=purpose, keys=OURS)


def test_a_seal_says_whose_it_is_and_any_key_of_ours_will_do():
    for key in OURS.keys:
        assert check_seal(
            seal(BODY, purpose="order", keys=Keys((key,))), BODY, purpose="order", keys=OURS
        ) == str(key)
    assert seal(BODY, purpose="order", keys=NO_KEYS) == ""
    assert check_seal("anything", BODY, purpose="order", keys=NO_KEYS) == ""


def test_an_answer_is_sealed_with_the_key_of_what_it_answers_so_that_keys_can_be_rotated_host_by_host():
    new, old = OURS.keys
    for token in (signed(keys=Keys((old,))), seal(BODY, purpose="order", keys=Keys((old,)))):
        assert key_id(token) == old.id
        assert OURS.preferring(token).keys == (old, new)
    assert OURS.preferring("").keys == OURS.preferring("junk").keys == (new, old)
