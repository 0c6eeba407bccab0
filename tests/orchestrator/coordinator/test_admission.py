"""Which campaigns a coordinator runs, and which words of people count, held against journals made by hand."""

import pytest
from msgspec import structs

from orchestrator.coordinator.admission import (
    ACCEPTED_COUNTS_S,
    EVERYBODY,
    MOST_REFUSALS,
    Hearing,
    RefusedError,
    Trust,
    acceptance,
    admit,
)
from orchestrator.facts import State, fold
from orchestrator.store.entries import Entry
from workers.contract import facts as f
from workers.contract.signed.halts import Press
from workers.contract.signed.signing import NO_KEYS, Keys, read_keys
from workers.contract.signed.trust import (
    LAST,
    SUBMISSION_COUNTS_S,
    WORD_COUNTS_S,
    sign_decision,
    sign_fact,
    sign_observation,
)

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


def test_a_campaign_that_was_accepted_under_a_key_that_is_gone_is_not_decided_anew():
    old, new = read_keys("old=a-secret-that-is-gone"), Trust(OPS, OPS.and_also(ADA))
    with pytest.raises(RefusedError, match=f"accepted under the key {old.own.id}"):
        admitted(signed(SUBMITTED), accepted(keys=old.and_also(ADA)), trust=new)
    both = Trust(Keys((*OPS.keys, *old.keys)), TRUST.people)
    assert admitted(signed(SUBMITTED), accepted(keys=old.and_also(ADA)), trust=both)


def test_who_kept_an_accepted_submission_cannot_have_it_run_again_once_all_else_is_forgotten():
    late_s = NOW_S + ACCEPTED_COUNTS_S + 1
    with pytest.raises(RefusedError, match="was replayed"):
        admitted(signed(SUBMITTED), accepted(), now_s=late_s)


@pytest.mark.parametrize("id_", ["../up", "/etc/cron.d/x", "a/b", ".hidden", "", "a" * 201, "c:1"])
def test_an_id_that_is_no_plain_name_is_refused_before_anything_else(id_):
    said = sign_fact(f.Submitted(campaign=id_, text="", by="ada"), campaign=id_, keys=ADA, now_s=NOW_S)
    with pytest.raises(RefusedError, match="cannot be the name of a folder"):
        admit(id_, [entry(said)], trust=TRUST, over=False, halted=None, now_s=NOW_S)


# what counts of its journal


@pytest.fixture
def hearing():
    return Hearing(ID, TRUST)


def heard(hearing, *entries: Entry, state: State | None = None) -> State:
    """The state after what counts of these."""
    state = State() if state is None else state
    for one in entries:
        fact = hearing.believed(one, state)
        state = fold(state, fact) if fact is not None else state
    return state


# what leaders and workers say of it

ABORT, NOTE = f.AbortAsked(by="ada", why="enough", at_s=NOW_S), f.Noted(by="ada", text="look", at_s=NOW_S)
OPENED = f.PhaseOpened(phase="only", at_s=NOW_S)
PLACED = f.Placed(
    attempt="a:0:1", phase="only", activity="a", shard=0, of=1, number=1, worker="w", incarnation="i"
)
READY = f.Ready(attempt="a:0:1")


def decided(*facts: f.Fact, first: int = 1, keys=OPS, campaign=ID) -> list[Entry]:
    """Decisions as their journal has them, numbered one after the other."""
    said = [
        sign_decision(fact, campaign=campaign, number=first + place, keys=keys)
        for place, fact in enumerate(facts)
    ]
    return [entry(fact, number=first + place) for place, fact in enumerate(said)]


def test_decisions_count_in_the_order_of_their_numbers_and_observations_between_them(hearing):
    observed = entry(sign_observation(READY, campaign=ID, keys=OPS), number=9)
    opened, placed = decided(OPENED, PLACED)
    state = heard(hearing, opened, placed, observed)
    assert (hearing.decided, state.attempts["a:0:1"].status) == (2, "ready")
    assert hearing.unsaid == {}


def test_what_a_leader_signs_next_has_the_next_number_also_for_several_at_once(hearing):
    heard(hearing, *decided(OPENED))
    both = [hearing.signed(PLACED), hearing.signed(f.Lost(attempt="a:0:1", fence_s=0, why=""), after=1)]
    state = heard(hearing, *(entry(one, number=place) for place, one in enumerate(both)), state=State())
    assert (hearing.decided, state.attempts["a:0:1"].status) == (3, "over")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([entry(PLACED)], "not signed"),
        (decided(PLACED, keys=ADA), "foreign"),
        (decided(PLACED, keys=EVE), "foreign"),
        (decided(PLACED, campaign="c-2"), "altered"),
        ([entry(structs.replace(decided(PLACED)[0].fact, worker="x"))], "altered"),
        ([entry(structs.replace(PLACED, signature="2" + decided(PLACED)[0].fact.signature))], "altered"),
        (decided(PLACED, first=0), "no number"),
        ([entry(structs.replace(PLACED, signature="x:y"))], "not signed"),
        ([entry(READY)], "not signed"),
        ([entry(sign_observation(READY, campaign=ID, keys=ADA))], "foreign"),
        ([entry(sign_observation(READY, campaign="c-2", keys=OPS))], "altered"),
        ([entry(structs.replace(READY, signature=decided(PLACED)[0].fact.signature[2:]))], "altered"),
    ],
)  # fmt: skip
def test_what_no_coordinator_decided_and_no_worker_saw_changes_nothing(hearing, entries, words):
    assert heard(hearing, *entries) == State()
    (refused,) = hearing.unsaid.values()
    assert words in refused.why


def test_a_decision_that_is_said_again_does_not_count_twice(hearing):
    opened, placed = decided(OPENED, PLACED)
    state = heard(hearing, opened, placed, opened, placed)
    assert state.shards == {("a", 0): ("a:0:1",)}
    assert all("replayed" in one.why for one in hearing.unsaid.values())


def test_where_decisions_are_missing_the_journal_is_not_believed(hearing):
    opened, _, placed = decided(OPENED, f.PhaseSkipped(phase="x", why=""), PLACED)
    with pytest.raises(RefusedError, match="its decisions 2 to 2 are missing"):
        heard(hearing, opened, placed)


def test_the_end_of_a_campaign_that_was_given_up_counts_wherever_it_stands(hearing):
    ended = sign_decision(f.Ended(verdict="internal"), campaign=ID, number=LAST, keys=OPS)
    assert heard(hearing, entry(ended)).ended is not None


def test_who_said_something_is_known_by_the_key_that_holds_and_not_by_what_they_say(hearing):
    claims = structs.replace(ABORT, key="ops (00000000)")
    state = heard(hearing, entry(signed(claims)))
    assert state.abort_asked.key == str(ADA.own)
    assert heard(Hearing(ID), entry(claims)).abort_asked.key == ""


# what people say of a campaign that runs


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


APPROVALS = """\
gameday: {roles: {boss: jo@example.com}, approvals: {only: {by: boss}}}
"""


@pytest.fixture
def gate(campaign_of, load_activity):
    """What a coordinator makes of an answer about a phase that waits until NOW_S + 60."""
    boss = read_keys("boss=" + "b" * 32)
    campaign = campaign_of(("only", load_activity), top=APPROVALS)

    def ask(word, *, came_s=NOW_S, keys=boss, begun=False, before=None):
        trust = Trust(
            read_keys("ops=" + "o" * 32), read_keys("ops=" + "o" * 32 + ",ada=" + "a" * 32).and_also(boss)
        )
        hearing = Hearing(ID, trust, campaign)
        state = fold(before or State(), f.GateReached(phase="only", until_s=NOW_S + 60))
        state = fold(state, f.PhaseOpened(phase="only")) if begun else state
        signed = sign_fact(word, campaign=ID, keys=keys, now_s=NOW_S)
        heard = hearing.believed(Entry(f"{came_s * 1000:.0f}-0", signed), state)
        return heard, [one.why for one in hearing.unsaid.values()]

    return ask


def test_an_approval_of_the_role_that_must_counts_with_whose_key_it_was(gate):
    heard, refused = gate(f.Approved(phase="only", by="jo", at_s=NOW_S))
    assert (heard.key.startswith("boss ("), refused) == (True, [])


def test_whoever_approves_once_more_is_told_who_did_before(gate):
    state = fold(State(), f.Approved(phase="only", by="jo"))
    heard, refused = gate(f.Approved(phase="only", by="jo", at_s=NOW_S), begun=True, before=state)
    assert (heard, refused) == (
        None, ["phase only has begun already, approved by jo; `shakeout abort` stops it"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"keys": read_keys("ada=" + "a" * 32)}, "does not speak for boss"),
        ({"came_s": NOW_S + 61}, "was waited for until 1 s before"),
        ({"begun": True}, "has begun already"),
    ],
)
def test_an_approval_by_another_key_or_too_late_does_not_count(gate, given, words):
    for word in (f.Approved(phase="only", by="jo", at_s=NOW_S), f.Denied(phase="only", by="jo", at_s=NOW_S)):
        heard, refused = gate(word, **given)
        assert heard is None
        assert words in refused[0]
