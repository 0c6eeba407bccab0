import pytest

from orchestrator.aggregate.watched import watched_in
from orchestrator.facts import State, fold_all
from workers.contract import facts as f
from workers.contract.spec import watch_key

KEY = watch_key("p")
START_S = 1000.25


def placed(number=1):
    return f.Placed(
        attempt=f"{KEY}:0:{number}", phase="p", activity=KEY, shard=0, of=1, number=number,
        worker=f"w{number}", incarnation="one",
    )  # fmt: skip


def seen(state, at_s, *, source="prometheus", number=1, **times):
    moved = {
        name: START_S + value if name.endswith("ed_s") or name == "active_s" else value
        for name, value in times.items()
    }
    return f.AlertSeen(
        at_s=START_S + at_s, attempt=f"{KEY}:0:{number}", alert="Down", source=source, state=state, **moved
    )


def polls(first, count, *, source="prometheus", number=1, values=None):
    return f.Gauged(
        attempt=f"{KEY}:0:{number}", gauge=source, start_s=1000.0 + first,
        values=values or (1.0,) * count, why="" if values is None else "no answer",
    )  # fmt: skip


def watched(*facts):
    state = fold_all(State(), [placed(), f.PhaseStarted(phase="p", start_s=START_S), *facts])
    return watched_in("p", state)


def test_a_firing_runs_from_its_time_to_its_end_on_the_phase_s_clock():
    log = watched(
        polls(0, 30),
        seen("inactive", 0), seen("pending", 5, active_s=4.5),
        seen("firing", 10, active_s=4.5, fired_s=9.5, for_s=5.0, every_s=1.0, uncertainty_s=0.01),
        seen("resolved", 20, ended_s=19.5),
    ).alerts["Down"]  # fmt: skip
    (firing,) = log.firings
    assert (firing.active_s, firing.fired_s, firing.ended_s) == pytest.approx((4.5, 9.5, 19.5))
    assert (firing.for_s, firing.every_s, log.for_s) == (5.0, 1.0, 5.0)
    assert len(log.seconds) == 30


def test_what_alertmanager_and_its_webhook_had_goes_to_the_same_firing():
    log = watched(
        polls(0, 30), polls(0, 30, source="alertmanager"),
        seen("firing", 10, fired_s=9.5),
        seen("firing", 11, source="alertmanager", fired_s=9.5, received_s=9.6, silenced=("s",)),
        seen("firing", 12, source="webhook", fired_s=9.5, received_s=11.7),
        seen("firing", 40, source="webhook", fired_s=39.5, received_s=41.0),
    ).alerts["Down"]  # fmt: skip
    (firing,) = log.firings
    assert (firing.received_s, firing.routed_s) == pytest.approx((9.6, 11.7))
    assert firing.silenced


def test_without_prometheus_alertmanager_is_believed_and_a_webhook_alone_never():
    by_manager = watched(
        polls(0, 30, source="alertmanager"), seen("firing", 9, source="alertmanager", fired_s=9.0)
    )
    assert [one.fired_s for one in by_manager.alerts["Down"].firings] == pytest.approx([9.0])
    by_nobody = watched(seen("firing", 9, source="webhook", fired_s=9.0))
    assert by_nobody.alerts["Down"].firings == ()
    assert by_nobody.alerts["Down"].seconds == frozenset()


def test_a_successor_that_finds_an_alert_firing_goes_on_with_the_same_firing():
    log = watched(
        polls(0, 12), seen("firing", 10, fired_s=9.5), f.Lost(attempt=f"{KEY}:0:1", fence_s=0.0, why="gone"),
        placed(2), polls(20, 10, number=2), seen("firing", 20, number=2, fired_s=9.6),
        seen("resolved", 25, number=2, ended_s=24.5),
    ).alerts["Down"]  # fmt: skip
    assert [(one.fired_s, one.ended_s) for one in log.firings] == [pytest.approx((9.5, 24.5))]
    assert set(range(12, 19)).isdisjoint(log.seconds)


def test_a_successor_that_finds_it_quiet_ends_it_and_one_that_finds_another_begins_anew():
    quiet = watched(seen("firing", 10, fired_s=9.5), placed(2), seen("inactive", 20, number=2)).alerts["Down"]
    assert [one.ended_s for one in quiet.firings] == pytest.approx([20.0])
    again = watched(
        seen("firing", 10, fired_s=9.5), placed(2), seen("firing", 20, number=2, active_s=15.0, fired_s=16.0)
    ).alerts["Down"]
    assert [(one.fired_s, one.ended_s) for one in again.firings] == [
        pytest.approx((9.5, 15.0)), (pytest.approx(16.0), None),
    ]  # fmt: skip


def test_an_alert_without_a_rule_is_absent_and_one_that_waits_is_pending():
    assert watched(polls(0, 5), seen("absent", 0)).alerts["Down"].absent
    pending = watched(polls(0, 5), seen("pending", 3, active_s=2.5, for_s=60.0)).alerts["Down"]
    assert (pending.pending_s, pending.for_s) == (pytest.approx(2.5), 60.0)


def test_gauges_stand_by_the_second_in_which_they_were_read_and_say_what_was_missing():
    one = f.Gauged(attempt=f"{KEY}:0:1", gauge="chat g", start_s=1001.0, values=(5.0, None, 7.0), why="late")
    log = watched(one).gauges["chat g"]
    assert (log.values, log.why) == ({0: 5.0, 2: 7.0}, "late")


def test_what_comes_after_the_phase_was_judged_changes_nothing():
    facts = (polls(0, 5), seen("inactive", 0), f.PhaseEnded(phase="p", verdict="pass"))
    assert watched(*facts, seen("firing", 10, fired_s=9.5)) == watched(*facts)


def test_a_watch_that_was_refused_says_why():
    refused = f.Exited(attempt=f"{KEY}:0:1", outcome="refused", why="not on this worker's allow-list")
    assert watched(refused).why == "not on this worker's allow-list"
