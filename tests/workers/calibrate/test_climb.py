import pytest

from workers.calibrate.climb import Seen, Step, is_disturbed, limited_by, schedule_of, seen_in, steps
from workers.contract.schedule import per_second
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import Cell, Snapshot

START_S = 100.0


def snapshot(second, *, lag_s=0.001, hub_s=0.001, ok=100, failed=0, at_s=None):
    outcomes = {"ok": ok} | ({"http_503": failed} if failed else {})
    cell = Cell(second, "", outcomes, {}, {"lag": to_wire(sketch_of([lag_s] * (ok + failed)))})
    return Snapshot(
        "c", 0, "c:0:1", 1, START_S + second + 1.2 if at_s is None else at_s, 0, 0, [], [cell],
        hub_delay=to_wire(sketch_of([hub_s] * 100)),
    )  # fmt: skip


def test_rates_climb_to_the_most_and_each_step_begins_where_the_last_ended():
    climb = steps(first=100, factor=2, most=900, step_s=2, settle_s=1)
    assert [one.per_s for one in climb] == [100, 200, 400, 800]
    assert [(one.start_s, one.end_s) for one in climb] == [(0, 2), (2, 4), (4, 6), (6, 8)]
    assert list(climb[1].seconds) == [3]
    arrivals = schedule_of(climb)
    counts = per_second(arrivals)
    assert len(counts) == 8
    assert counts[6:].sum() == pytest.approx(1600, rel=0.15)


def judged(**what):
    step = Step(100, 0, 2, 1)
    arrivals = schedule_of([step])
    count = int(per_second(arrivals)[1])
    return seen_in(
        step,
        [snapshot(0, lag_s=9.0, hub_s=9.0, at_s=START_S + 0.9), snapshot(1, **{"ok": count} | what)],
        start_s=START_S,
        arrivals=arrivals,
    )


def test_a_step_is_kept_where_it_was_answered_in_time_and_its_first_second_does_not_count():
    seen = judged()
    assert seen.kept
    assert seen.answered == 1.0
    assert seen.lag_p99_s == pytest.approx(0.001, rel=0.01)


@pytest.mark.parametrize("what", [{"lag_s": 0.011}, {"hub_s": 0.011}, {"ok": 90}, {"ok": 90, "failed": 10}])
def test_lag_hub_delay_failures_and_a_rate_that_was_not_reached_each_end_it(what):
    assert not judged(**what).kept


def test_what_ended_the_climb_is_told():
    late = Seen(Step(800, 0, 2), 0.012, 0.001, 1.0, 0, 0)
    assert "the engine's core (p99 of lateness 12 ms at 800/s)" in limited_by(
        late, engine_busy=0.97, server_busy=0.95
    )
    assert "the server it was measured with" in limited_by(late, engine_busy=0.5, server_busy=0.95)
    assert "others use this host" in limited_by(late, engine_busy=0.2, server_busy=0.2)
    assert "highest rate tried" in limited_by(None, engine_busy=0.2, server_busy=0.2)
    assert is_disturbed(late, engine_busy=0.2, server_busy=0.2)
    assert not is_disturbed(late, engine_busy=0.2, server_busy=0.95)
    assert not is_disturbed(None, engine_busy=0.2, server_busy=0.2)
    lost = Seen(Step(800, 0, 2), 0.0, 0.03, 0.12, 0, 0)
    assert "(12% of 800/s were answered in time)" in limited_by(lost, engine_busy=0.97, server_busy=0.2)
    failed = Seen(Step(800, 0, 2), 0.001, 0.001, 0.9, 0, 7)
    assert "7 requests failed at 800/s" in limited_by(failed, engine_busy=0.2, server_busy=0.2)


def test_one_second_that_others_took_does_not_count_and_two_of_three_do():
    step = Step(100, 0, 4, 1)
    arrivals = schedule_of([step])
    counts = per_second(arrivals)

    def kept(*lags_s):
        told = [
            snapshot(at, lag_s=lag_s, hub_s=lag_s, ok=int(counts[at]))
            for at, lag_s in enumerate(lags_s, start=1)
        ]
        return seen_in(step, told, start_s=START_S, arrivals=arrivals).kept

    assert kept(0.001, 0.9, 0.001)
    assert not kept(0.02, 0.9, 0.001)
