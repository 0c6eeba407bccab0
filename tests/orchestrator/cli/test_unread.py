"""What people say is told to those who watch once it counts, and not at all where it was refused."""

from orchestrator.cli.unread import UNREAD_S, Unread
from orchestrator.store.entries import Entry
from workers.contract import facts as f

APPROVED = Entry("1000-0", f.Approved(phase="faults", by="ada"))
REFUSED = Entry("1200-0", f.Refused(what="approval", by="ada", why="no", at_s=1.0))
STARTED = Entry("1300-0", f.PhaseStarted(phase="faults", start_s=2.0))


def test_a_word_waits_until_the_leader_has_read_on() -> None:
    unread = Unread()
    assert unread.hear([APPROVED], read_s=0.9) == []
    assert unread.hear([], read_s=1.05) == []
    assert unread.hear([], read_s=1.2) == [APPROVED.fact]
    assert unread.hear([], read_s=9.0) == []


def test_a_word_that_was_refused_is_told_by_its_refusal_alone() -> None:
    unread = Unread()
    assert unread.hear([APPROVED], read_s=0.5) == []
    assert unread.hear([REFUSED], read_s=0.5) == [REFUSED.fact]
    assert Unread().hear([APPROVED, REFUSED, STARTED], read_s=0.0) == [REFUSED.fact, STARTED.fact]


def test_the_refusal_of_another_word_by_the_same_person_does_not_swallow_it() -> None:
    later = Entry("1500-0", f.Noted(by="ada", text="ready"))
    assert Unread().hear([APPROVED, REFUSED, later], read_s=2.0) == [REFUSED.fact, later.fact]


def test_what_comes_after_a_word_stays_after_it() -> None:
    unread = Unread()
    assert unread.hear([APPROVED, STARTED], read_s=0.0) == []
    assert unread.hear([], read_s=2.0) == [APPROVED.fact, STARTED.fact]


def test_nothing_waits_once_the_campaign_has_ended() -> None:
    ended = Entry("1400-0", f.Ended(verdict="pass"))
    assert Unread().hear([APPROVED, ended], read_s=0.0) == [APPROVED.fact, ended.fact]


def test_with_nobody_who_leads_a_word_is_told_after_a_while_all_the_same() -> None:
    unread = Unread()
    assert unread.hear([APPROVED], read_s=0.0) == []
    unread.held = [(seen - UNREAD_S, entry) for seen, entry in unread.held]
    assert unread.hear([], read_s=0.0) == [APPROVED.fact]
