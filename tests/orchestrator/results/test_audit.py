"""What is kept of who did what: derived from what counts, sealed, and the same whoever derives it."""

import pytest
from msgspec import structs

from orchestrator.results.audit import Audited, of_button, of_campaign, sealed, vouched_for, words
from workers.contract import facts as f
from workers.contract.signed.halts import Press
from workers.contract.signed.signing import NO_KEYS, SignatureError, read_keys

OPS = read_keys("ops=a-secret-of-coordinators")
EVE = read_keys("eve=a-secret-of-nobody-here")
SAID = (
    f.Submitted(campaign="c-1", text="", by="ada", at_s=1.0),
    f.Accepted(key="ada (12345678)", at_s=2.0),
    f.Refused(what="decision", by="", why="the decision is not signed", at_s=3.0),
    f.Refused(what="decision", by="", why="the decision is not signed", at_s=4.0),
    f.Refused(what="abort", by="eve", why="the abort is not signed", at_s=5.0),
    f.PhaseOpened(phase="only", at_s=6.0),
    f.AbortAsked(by="bo", why="enough", key="bo (87654321)", at_s=7.0),
    f.Ended(verdict="aborted", reasons=("aborted by bo: enough",), at_s=8.0),
)


def entries() -> list[Audited]:
    return list(of_campaign("c-1", SAID, by="ada"))


def test_a_campaign_tells_who_submitted_and_aborted_it_with_which_key_and_how_it_ended():
    told = [(one.what, one.on, one.by, one.key, one.why) for one in entries()]
    assert told == [
        ("submitted", "c-1", "ada", "ada (12345678)", ""),
        ("refused", "c-1", "", "", "decision: the decision is not signed"),
        ("refused", "c-1", "", "", "decision: the decision is not signed"),
        ("refused", "c-1", "eve", "", "abort: the abort is not signed"),
        ("aborted", "c-1", "bo", "bo (87654321)", "enough"),
        ("ended", "c-1", "", "", "aborted: aborted by bo: enough"),
    ]
    assert words(entries()[4]) == "aborted c-1 by bo (key bo (87654321)): enough"


def test_whoever_reads_the_journal_again_makes_the_same_entries_and_a_flood_of_forgeries_is_one():
    ids = [one.id for one in entries()]
    assert ids == [one.id for one in entries()]
    assert len(set(ids)) == len(ids) - 1


def test_the_red_button_is_told_by_its_moment():
    press = Press("ada", "fire", 9.0, key="ada (12345678)")
    assert of_button("halted", press).id != of_button("resumed", press).id
    assert of_button("halted", press).key == "ada (12345678)"


@pytest.mark.parametrize("change", [{"by": "eve"}, {"what": "resumed"}, {"at_s": 1.0}, {"key": ""}])
def test_only_the_coordinators_key_vouches_for_an_entry_and_for_all_of_it(change):
    entry = sealed(entries()[4], OPS)
    assert vouched_for(entry, OPS) == str(OPS.own)
    with pytest.raises(SignatureError, match="altered"):
        vouched_for(structs.replace(entry, **change), OPS)
    with pytest.raises(SignatureError, match="foreign"):
        vouched_for(sealed(entries()[4], EVE), OPS)
    with pytest.raises(SignatureError, match="not signed"):
        vouched_for(sealed(entries()[4], NO_KEYS), OPS)
