from workers.contract.facts import AlertSeen, Gauged
from workers.watching.changes import BATCH, MOST_GAP, Changes
from workers.watching.contract import AlertReading, Polled, Value


def heard(changes, second, *readings, series=(), why=""):
    polled = Polled("prometheus", series, second, readings, why)
    return list(changes.heard(polled, now_s=second + 0.1, uncertainty_s=0.002))


def reading(state, **given):
    return AlertReading("Down", state, looked_s=0.0, uncertainty_s=0.01, **given)


def test_an_alert_is_told_at_first_and_then_only_when_it_changes():
    changes = Changes("only/@watch:0:1")
    states = ["inactive", "inactive", "pending", "firing", "firing", "inactive", "inactive"]
    told = [heard(changes, second, reading(state)) for second, state in enumerate(states)]
    assert [[fact.state for fact in facts] for facts in told] == [
        ["inactive"], [], ["pending"], ["firing"], [], ["resolved"], [],
    ]  # fmt: skip
    assert told[0][0] == AlertSeen(
        at_s=0.1, attempt="only/@watch:0:1", alert="Down", source="prometheus", state="inactive",
        uncertainty_s=0.012,
    )  # fmt: skip


def test_a_firing_alert_keeps_its_first_time_though_the_series_that_began_it_is_gone():
    changes = Changes("a")
    heard(changes, 1, reading("firing", active_s=1.0, fired_s=1.0))
    assert heard(changes, 2, reading("firing", active_s=2.0, fired_s=2.0)) == []
    (again,) = heard(changes, 3, reading("firing", active_s=2.0, fired_s=2.0, silenced=("s-1",)))
    assert (again.fired_s, again.active_s, again.silenced) == (1.0, 1.0, ("s-1",))


def test_when_it_ceased_is_told_with_its_end_and_at_no_other_time():
    changes = Changes("a")
    (firing,) = heard(changes, 1, reading("firing", fired_s=1.0, ended_s=0.5))
    (ended,) = heard(changes, 2, reading("inactive", ended_s=1.9))
    assert (firing.ended_s, ended.state, ended.ended_s) == (0.0, "resolved", 1.9)


def test_an_alert_that_fires_again_is_told_again():
    changes = Changes("a")
    states = ["firing", "inactive", "firing"]
    told = [
        fact.state for second, state in enumerate(states) for fact in heard(changes, second, reading(state))
    ]
    assert told == ["firing", "resolved", "firing"]


def test_readings_are_told_in_batches_with_none_where_one_is_missing():
    changes = Changes("a")
    facts = []
    for second in range(100, 100 + BATCH + 3):
        missing = second == 103
        values = () if missing else (Value("chat g", float(second)),)
        facts += heard(changes, second, *values, series=("chat g",), why="no answer" if missing else "")
    (batch,) = facts
    assert isinstance(batch, Gauged)
    assert (batch.start_s, len(batch.values), batch.why) == (100.0, BATCH, "no answer")
    assert batch.values[:5] == (100.0, 101.0, 102.0, None, 104.0)
    (rest,) = changes.rest(200.0)
    assert rest.values == (110.0, 111.0, 112.0)
    assert list(changes.rest(201.0)) == []


def test_seconds_that_were_passed_over_are_gaps_and_long_ones_begin_anew():
    changes = Changes("a")
    heard(changes, 10, Value("g", 1.0), series=("g",))
    heard(changes, 13, Value("g", 2.0), series=("g",))
    (first,) = heard(changes, 13 + MOST_GAP + 1, Value("g", 3.0), series=("g",))
    assert first.values == (1.0, None, None, 2.0)
    (second,) = changes.rest(0.0)
    assert (second.start_s, second.values) == (13.0 + MOST_GAP + 1, (3.0,))
