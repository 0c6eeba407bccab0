"""A journal in short: where a campaign stands, who did what, what was lost, whose slots it holds."""

import pytest

from orchestrator.overview.summary import LostAttempt, summarise
from workers.contract import facts as f

SUBMITTED = f.Submitted(campaign="c-1", text="campaign: c", by="ada", labels={"team": "chat"}, at_s=100.0)
OPENED = f.PhaseOpened(phase="peak", at_s=101.0)
STARTED = f.PhaseStarted(phase="peak", start_s=103.0)
ENDED = f.PhaseEnded(phase="peak", verdict="pass", at_s=110.0)
ABORTING = f.Aborting(by="eve", why="enough", verdict="aborted", at_s=105.0)
OVER = f.Ended(verdict="pass", at_s=111.0)


def placed(attempt, worker="w1"):
    activity, shard, number = attempt.split(":")
    return f.Placed(
        attempt=attempt, phase="peak", activity=activity, shard=int(shard), of=2, number=int(number),
        worker=worker, incarnation="i",
    )  # fmt: skip


def summary(*facts):
    return summarise("c-1", ((float(place), fact) for place, fact in enumerate(facts)))


@pytest.mark.parametrize(
    ("facts", "finished", "stage"),
    [
        ((), False, "submitted"),
        ((SUBMITTED,), False, "submitted"),
        ((SUBMITTED, OPENED), False, "placing"),
        ((SUBMITTED, OPENED, STARTED), False, "running"),
        ((SUBMITTED, OPENED, STARTED, ENDED), False, "running"),
        ((SUBMITTED, OPENED, STARTED, ABORTING), False, "stopping"),
        ((SUBMITTED, OPENED, STARTED, ENDED, OVER), False, "writing"),
        ((SUBMITTED, OPENED, STARTED, ENDED, OVER), True, "over"),
        ((), True, "over"),
    ],
)
def test_a_campaign_stands_where_its_last_facts_say(facts, finished, stage):
    assert summary(*facts).stage(finished=finished) == stage


def test_who_submitted_with_which_key_and_who_aborted_are_told():
    found = summary(SUBMITTED, f.Accepted(key="ops (ab12cd34)"), OPENED, ABORTING)
    assert (found.submitted_by, found.key, found.aborted_by) == ("ada", "ops (ab12cd34)", "eve")
    assert (found.labels, found.submitted_s, found.started_s) == ({"team": "chat"}, 100.0, None)


def test_a_campaign_stopped_by_its_own_limits_was_aborted_by_nobody():
    found = summary(SUBMITTED, OPENED, f.Aborting(by="abort_if", why="p99", verdict="fail"))
    assert found.aborted_by == ""


def test_attempts_that_did_not_end_well_are_lost_each_once_and_those_that_did_are_not():
    found = summary(
        placed("a:0:1"),
        placed("a:1:1", "w2"),
        placed("b:0:1"),
        f.Lost(attempt="a:1:1", fence_s=9.0, why="its lease ran out", at_s=104.0),
        f.Exited(attempt="a:1:1", outcome="crashed", why="later"),
        f.Exited(attempt="a:0:1", outcome="done"),
        placed("a:1:2"),
        f.Exited(attempt="b:0:1", outcome="crashed", at_s=106.0),
    )
    assert found.placed == 4
    assert found.lost == (
        LostAttempt("a:1:1", "w2", "its lease ran out", 104.0),
        LostAttempt("b:0:1", "w1", "crashed", 106.0),
    )
    assert found.working == {"a:1:2": ("a", "w1")}


def test_slots_are_held_by_attempts_at_work_but_not_by_those_that_need_no_engine():
    found = summary(placed("a:0:1"), placed("a:1:1", "w2"), placed("hang:0:1"), placed("a:2:1"))
    assert found.held() == {"w1": 3, "w2": 1}
    assert found.held(without=["hang"]) == {"w1": 2, "w2": 1}


def test_what_attempts_wait_for_is_told_until_they_are_ready_or_over():
    waiting = (placed("a:0:1"), placed("a:1:1"), f.NotReady(attempt="a:0:1", why="no answer"))
    assert summary(*waiting).waits == {"a:0:1": "no answer"}
    assert summary(*waiting, f.Ready(attempt="a:0:1")).waits == {}
    assert summary(*waiting, f.Lost(attempt="a:0:1", fence_s=1.0, why="x")).waits == {}
    assert summary(f.NotReady(attempt="never-placed:0:1", why="no answer")).waits == {}


def test_a_note_that_the_leader_refused_is_not_among_the_notes():
    mine = f.Noted(by="ada", text="deployed", at_s=0.0)
    forged = f.Noted(by="ada", text="forged", at_s=1.0)
    refused = f.Refused(what="note", by="ada", why="foreign key", at_s=1.0)
    found = summary(mine, forged, refused)
    assert found.notes == (mine,)
    assert found.state.refusals == (refused,)


def test_what_people_saw_stands_among_the_notes_unless_it_was_refused():
    seen = f.Observed(by="ada", text="it hangs", at_s=0.0)
    forged = f.Observed(by="eve", text="all is well", at_s=1.0)
    refused = f.Refused(what="note", by="eve", why="foreign key", at_s=1.0)
    assert summary(seen, forged, refused).notes == (seen,)


def test_entries_that_cannot_be_read_are_counted_and_the_rest_counts():
    found = summary(SUBMITTED, None, OPENED, None)
    assert (found.unread, found.stage(finished=False)) == (2, "placing")
