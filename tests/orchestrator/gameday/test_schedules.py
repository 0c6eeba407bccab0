"""Schedules as signed words: what holds of them, and what nobody trusted has said."""

import pytest
from msgspec import structs

from orchestrator.gameday.schedules import (
    MOST_SCHEDULES,
    Added,
    Changed,
    Outcome,
    believed,
    decode_word,
    encode_word,
    heard,
    sealed,
    sign_word,
    vouched_for,
    why_not,
)
from workers.contract.signed.signing import NO_KEYS, SignatureError, read_keys
from workers.contract.signed.trust import WORD_COUNTS_S

ADA, EVE = read_keys("ada=" + "a" * 32), read_keys("eve=" + "e" * 32)
NOW_S = 1_790_000_000.0


def added(name: str = "nightly", at_s: float = NOW_S) -> Added:
    return Added(name=name, cron="0 2 * * *", timezone="UTC", text="campaign: x", by="ada", at_s=at_s)


def changed(to, at_s: float = NOW_S + 1, name: str = "nightly") -> Changed:
    return Changed(name=name, to=to, by="bob", at_s=at_s)


def test_a_schedule_is_there_from_its_word_until_it_is_removed() -> None:
    table = heard({}, added())
    assert list(table) == ["nightly"]
    assert heard(table, changed("removed")) == {}


def test_a_word_about_a_schedule_that_is_not_there_or_is_older_than_it_changes_nothing() -> None:
    assert heard({}, changed("paused")) == {}
    table = heard({}, added())
    assert heard(table, changed("removed", NOW_S - 1)) == table


def test_a_paused_schedule_rests_until_it_is_resumed_and_forgets_what_fell_due() -> None:
    table = heard(heard({}, added()), changed("paused", NOW_S + 1))
    assert table["nightly"].paused.by == "bob"
    table = heard(table, changed("resumed", NOW_S + 9))
    assert (table["nightly"].paused, table["nightly"].since_s) == (None, NOW_S + 9)


def test_so_many_schedules_are_enough() -> None:
    table = {}
    for number in range(MOST_SCHEDULES + 1):
        table = heard(table, added(f"n{number}"))
    assert len(table) == MOST_SCHEDULES
    assert "remove some" in why_not(table, added("one-more"))
    assert why_not(table, added("n3")) == ""
    assert "there is no schedule 'x'" in why_not({}, changed("paused", name="x"))


@pytest.mark.parametrize("word", [added(), changed("paused")])
def test_a_signed_word_is_believed_with_whose_key_it_was(word) -> None:
    said = decode_word(encode_word(sign_word(word, keys=ADA)))
    assert believed(said, keys=ADA, came_s=word.at_s + 5).key == str(ADA.keys[0])


@pytest.mark.parametrize(
    ("keys", "change", "came_s", "words"),
    [
        (NO_KEYS, {}, NOW_S, "is not signed"),
        (EVE, {}, NOW_S, "foreign key"),
        (ADA, {"cron": "* * * * *"}, NOW_S, "was altered"),
        (ADA, {"text": "campaign: other"}, NOW_S, "was altered"),
        (ADA, {}, NOW_S + WORD_COUNTS_S + 60, "expired"),
    ],
)
def test_a_word_that_is_unsigned_foreign_altered_or_put_back_later_does_not_count(
    keys, change, came_s, words
) -> None:
    said = structs.replace(sign_word(added(), keys=keys), **change)
    with pytest.raises(SignatureError, match=words):
        believed(said, keys=ADA, came_s=came_s)


def test_who_claims_a_key_in_the_word_itself_is_not_believed_by_it() -> None:
    said = structs.replace(sign_word(added(), keys=ADA), key="boss (deadbeef)")
    assert believed(said, keys=ADA, came_s=NOW_S).key == str(ADA.keys[0])


def test_an_outcome_is_vouched_for_by_the_leader_that_kept_it_and_by_nobody_else() -> None:
    said = Outcome(at_s=NOW_S, id="run:nightly:1", schedule="nightly", what="fired", due_s=1.0)
    kept = sealed(said, ADA)
    assert vouched_for(kept, ADA) == str(ADA.keys[0])
    with pytest.raises(SignatureError):
        vouched_for(structs.replace(kept, what="refused"), ADA)
    with pytest.raises(SignatureError):
        vouched_for(kept, EVE)
