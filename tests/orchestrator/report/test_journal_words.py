"""What the timeline says of people, alerts and rehearsals."""

import pytest

from orchestrator.report.journal_words import words_of
from orchestrator.report.timeline import when
from workers.contract import facts as f


@pytest.mark.parametrize(
    ("fact", "tone", "text"),
    [
        (f.Observed(by="ada", text="it hangs"), "person", "ada saw: it hangs"),
        (
            f.ApprovalAsked(phase="p", role="boss", address="b@c"),
            "plain",
            "approval of phase p asked of boss (b@c)",
        ),
        (
            f.GateReached(phase="p", until_s=0.0),
            "plain",
            "phase p waits for its approval, until 00:00:00 UTC",
        ),
        (f.Approved(phase="p", by="jo", key="k"), "person", "jo (key k) approved phase p"),
        (f.Approved(phase="p", by="jo", why="all there"), "person", "jo approved phase p: all there"),
        (f.Denied(phase="p", by="jo", why="no"), "bad", "jo denied phase p: no"),
        (f.StepDone(step="s", by="jo"), "person", "jo did s of the runbook"),
        (f.Revealed(activity="a", by="jo"), "person", "jo revealed a"),
        (f.Posed(activity="a", text="x"), "fault", "told at the table: a, x"),
        (f.AnnounceFailed(what="the end", why="x"), "bad", "the webhook was not told of the end: x"),
    ],
)
def test_each_kind_of_word_reads_as_a_sentence(fact, tone, text):
    assert words_of(fact, {}) == (tone, text)


def test_an_alert_stands_where_it_began_to_fire_not_where_it_was_heard_of():
    alert = f.AlertSeen(
        attempt="w:0:1", alert="Slow", source="prometheus", state="firing", fired_s=7.0, at_s=9.0
    )
    assert words_of(alert, {}) == ("alert", "alert Slow fires, says prometheus")
    assert when(alert) == 7.0


def test_how_an_alert_stands_before_it_fires_is_left_out():
    alert = f.AlertSeen(attempt="w:0:1", alert="Slow", source="prometheus", state="pending")
    assert words_of(alert, {}) is None
