"""Which campaigns a coordinator runs, and which words of people count, held against journals made by hand."""

import pytest
from msgspec import structs

from orchestrator.admission import EVERYBODY, MOST_REFUSALS, Hearing, RefusedError, Trust, acceptance, admit
from orchestrator.facts import State, fold
from orchestrator.store import Entry
from workers.contract import facts as f
from workers.contract.halts import Press
from workers.contract.signing import NO_KEYS, read_keys
from workers.contract.trust import SUBMISSION_COUNTS_S, WORD_COUNTS_S, sign_fact

ID, NOW_S = "c-1", 1_700_000_000.0
OPS = read_keys("ops=a-secret-of-coordinators")
ADA = read_keys("ada=a-secret-of-a-submitter")
EVE = read_keys("eve=a-secret-of-nobody-here")
TRUST = Trust(OPS, OPS.and_also(ADA))
SUBMITTED = f.Submitted(campaign=ID, text="campaign: c", by="ada", at_s=NOW_S)


def entry(fact: f.Fact, *, at_s: float = NOW_S, number: int = 0) -> Entry:
    return Entry(f"{round(at_s * 1000)}-{number}", fact)


def signed(fact, *, keys=ADA, campaign=ID, now_s=NOW_S):
    return sign_fact(fact, campaign=campaign, keys=keys, now_s=now_s)


def admitted(*facts: f.Fact, trust=TRUST, over=False, halted=None, now_s=NOW_S):
    return admit(ID, [entry(one) for one in facts], trust=trust, over=over, halted=halted, now_s=now_s)


def accepted(said=SUBMITTED, *, keys=OPS, now_s=NOW_S) -> f.Accepted:
    return acceptance(said, admitted(signed(said)), id_=ID, trust=Trust(keys, keys), now_s=now_s)


def test_a_submission_signed_by_a_submitter_or_a_coordinator_is_run():
    assert admitted(signed(SUBMITTED)).key.startswith("ada (")
    assert admitted(signed(SUBMITTED, keys=OPS)).key.startswith("ops (")


@pytest.mark.parametrize(
    ("said", "given", "words"),
    [
        (SUBMITTED, {}, "the submission is not signed"),
        (signed(SUBMITTED, keys=EVE), {}, "foreign key"),
        (structs.replace(signed(SUBMITTED), text="campaign: d"), {}, "altered"),
        (signed(SUBMITTED, campaign="c-2"), {}, "altered"),
        (signed(structs.replace(SUBMITTED, campaign="c-2")), {}, "is that of another campaign, c-2"),
        (signed(SUBMITTED), {"now_s": NOW_S + SUBMISSION_COUNTS_S + 1}, "expired"),
        (signed(SUBMITTED), {"over": True}, "replayed: this campaign is over"),
        (
            signed(SUBMITTED),
            {"halted": Press("bo", "fire", NOW_S)},
            "halted by bo: fire; say `shakeout resume`",
        ),
    ],
)
def test_any_other_submission_is_refused_and_it_is_said_whose_it_seemed_to_be(said, given, words):
    with pytest.raises(RefusedError, match=words) as refused:
        admitted(said, **given)
    assert refused.value.by == "ada"


def test_a_journal_that_does_not_begin_with_a_submission_is_no_campaign():
    with pytest.raises(RefusedError, match="does not begin"):
        admitted(f.AbortAsked(by="ada"))


def test_what_was_accepted_in_time_stays_so_after_its_signature_expired_and_while_the_fleet_is_halted():
    late_s = NOW_S + 3 * SUBMISSION_COUNTS_S
    assert admitted(signed(SUBMITTED), accepted(), now_s=late_s)
    assert admitted(signed(SUBMITTED), accepted(), halted=Press("bo", "", late_s), now_s=late_s)


@pytest.mark.parametrize("forged", [accepted(keys=NO_KEYS), accepted(keys=ADA), accepted(keys=EVE)])
def test_an_acceptance_that_no_coordinator_signed_makes_an_old_submission_no_better(forged):
    with pytest.raises(RefusedError, match="expired"):
        admitted(signed(SUBMITTED), forged, now_s=NOW_S + SUBMISSION_COUNTS_S + 1)


@pytest.mark.parametrize("trust", [TRUST, EVERYBODY])
def test_a_submission_that_takes_the_place_of_the_accepted_one_is_refused_though_it_is_signed(trust):
    other = signed(structs.replace(SUBMITTED, seed=4))
    with pytest.raises(RefusedError, match="it is not the one that was accepted"):
        admitted(other, accepted(), trust=trust)


def test_without_keys_anybodys_campaign_is_run_unless_it_is_over():
    assert admitted(SUBMITTED, trust=EVERYBODY).key == ""
    with pytest.raises(RefusedError, match="replayed"):
        admitted(SUBMITTED, trust=EVERYBODY, over=True)


# what people say of a campaign that runs


@pytest.fixture
def hearing():
    return Hearing(ID, TRUST)


def heard(hearing, *entries: Entry, state: State | None = None) -> State:
    """The state after what counts of these."""
    state = State() if state is None else state
    for one in entries:
        if hearing.counts(one, state):
            state = fold(state, one.fact)
    return state


ABORT, NOTE = f.AbortAsked(by="ada", why="enough", at_s=NOW_S), f.Noted(by="ada", text="look", at_s=NOW_S)


@pytest.mark.parametrize("said", [ABORT, NOTE])
def test_a_signed_word_counts_whenever_the_journal_is_read(hearing, said):
    state = heard(hearing, entry(signed(said), at_s=NOW_S + WORD_COUNTS_S))
    assert (state.abort_asked or state.notes[0]).by == "ada"
    assert hearing.unsaid == {}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (ABORT, "the abort is not signed"),
        (NOTE, "the note is not signed"),
        (signed(ABORT, keys=EVE), "foreign"),
        (structs.replace(signed(ABORT), by="bo"), "altered"),
        (structs.replace(signed(NOTE), text="no"), "altered"),
        (signed(ABORT, campaign="c-2"), "altered"),
        (signed(ABORT, now_s=NOW_S - WORD_COUNTS_S - 1), "expired"),
        (accepted(keys=ADA), "foreign"),
    ],
)
def test_a_word_that_nobody_trusted_said_does_not_count_and_there_is_something_to_be_said_of_it(
    hearing, said, words
):
    state = heard(hearing, entry(said, number=7))
    assert state == State()
    ((id_, refused),) = hearing.unsaid.items()
    assert id_ == f"refused:{round(NOW_S * 1000)}-7"
    assert (refused.by, refused.at_s) == (getattr(said, "by", ""), NOW_S)
    assert words in refused.why


def test_the_same_word_said_again_is_a_replay_however_its_signature_is_written(hearing):
    note = signed(NOTE)
    spelled = structs.replace(note, signature=note.signature + "=")
    other = signed(structs.replace(NOTE, at_s=NOW_S + 1))
    state = heard(
        hearing, entry(note), entry(note, number=1), entry(spelled, number=2), entry(other, number=3)
    )
    assert len(state.notes) == 2
    assert all("replayed" in one.why for one in hearing.unsaid.values())
    assert len(hearing.unsaid) == 2


def test_without_keys_people_may_repeat_themselves():
    state = heard(Hearing(ID), entry(NOTE), entry(NOTE, number=1))
    assert len(state.notes) == 2


def test_a_second_submission_in_a_journal_changes_nothing_and_is_refused(hearing):
    second = signed(structs.replace(SUBMITTED, seed=4))
    state = heard(hearing, entry(signed(SUBMITTED)), entry(second, number=1))
    assert state.submitted.seed == 0
    assert [one.what for one in hearing.unsaid.values()] == ["submission"]


def test_only_so_many_bad_words_are_answered(hearing):
    refusals = (f.Refused(what="note", by="eve", why=""),) * 10
    entries = [
        entry(structs.replace(NOTE, text=str(number)), number=number) for number in range(MOST_REFUSALS)
    ]
    heard(hearing, *entries, state=State(refusals=refusals))
    assert len(hearing.unsaid) == MOST_REFUSALS - 10
