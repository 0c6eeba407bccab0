"""What alerts did after a fault, in parts: METRICS.md section 9, "each alert's own time"."""

import pytest

from orchestrator.judging.alerts import AlertTimes, alert_times
from orchestrator.slo.evidence import Evidence, FaultSpan
from orchestrator.slo.watched import AlertLog, Firing, Watched

FAULT = FaultSpan("hang", "pause-process", injected_s=20.0, reverted_s=25.0, uncertainty_s=0.01)
LATER = FaultSpan("later", "pause-process", injected_s=40.0, reverted_s=42.0)


def times(*firings, fault=FAULT, faults=(FAULT, LATER), seconds=range(60)):
    log = AlertLog(firings, frozenset(seconds))
    known = Evidence("hang", "chaos", 60.0, faults=faults, watched=Watched(alerts={"Down": log}))
    return alert_times(fault, known)


def test_the_way_of_an_alert_is_told_in_parts():
    firing = Firing(
        28.0, ended_s=31.0, active_s=23.0, received_s=28.2, routed_s=33.2, for_s=5.0, every_s=1.0,
        uncertainty_s=0.05, silenced=True,
    )  # fmt: skip
    (found,) = times(firing)
    assert (found.fired_s, found.resolved_s, found.noticed_s, found.held_s) == (8.0, 6.0, 3.0, 5.0)
    assert (found.sent_s, found.routed_s) == pytest.approx((0.2, 5.0))
    assert (found.silenced, found.uncertainty_s) == (True, pytest.approx(0.06))


def test_what_nobody_told_is_not_known_and_routing_counts_from_the_firing_then():
    (found,) = times(Firing(28.0, routed_s=33.0))
    assert (found.noticed_s, found.held_s, found.sent_s, found.routed_s) == (None, None, None, 5.0)
    assert found.resolved_s is None


def test_an_alert_of_the_next_fault_is_not_this_one_s():
    assert times(Firing(41.0)) == (AlertTimes("Down"),)
    (found,) = times(Firing(41.0), fault=LATER)
    assert found.fired_s == 1.0


def test_one_that_fired_before_is_said_to_have_and_one_that_was_not_watched_is_left_out():
    assert times(Firing(3.0)) == (AlertTimes("Down", already=True),)
    assert times(Firing(28.0), seconds=()) == ()
