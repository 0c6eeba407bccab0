import time
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.judging.recovery import assess, with_recovery
from orchestrator.slo.bounds import bounds_of
from orchestrator.slo.evidence import Evidence, FaultSpan, Second, joined
from orchestrator.slo.parse import parse
from workers.contract.bounds import BoundCount

HELD = FaultSpan("hang", "pause-process", injected_s=40.0, reverted_s=45.0)
KILL = FaultSpan("killed", "kill-process", injected_s=40.0, reverted_s=None, one_shot=True)


def traffic(*, bad=None, p99=None, ok=60, duration_s=90, faults=(HELD,), warmup_s=0.0, **more):
    rows = []
    for s in range(int(warmup_s), duration_s):
        failed = bad(s) if bad else 0
        times = {"latency": {0.99: p99(s) if p99 else 0.1}}
        rows.append(Second(s, outcomes={"ok": ok - failed, "http_503": failed}, quantiles=times))
    return Evidence("peak", "load", duration_s, warmup_s, groups={"": tuple(rows)}, faults=faults, **more)


def test_recovery_of_a_held_fault_runs_from_its_revert():
    found = assess(traffic(bad=lambda s: 60 if 40 <= s < 48 else 0), HELD, ())
    assert (found.detected_s, found.recovered_s, found.recovery_s) == (40.0, 48.0, 3.0)
    assert (found.baseline_windows, found.inconclusive) == (30, "")


def test_recovery_of_a_one_shot_fault_runs_from_its_injection():
    found = assess(traffic(bad=lambda s: 60 if 40 <= s < 48 else 0, faults=(KILL,)), KILL, ())
    assert (found.recovered_s, found.recovery_s) == (48.0, 8.0)


def test_a_fault_that_the_traffic_did_not_feel_is_not_detected_and_recovered_at_once():
    found = assess(traffic(), HELD, ())
    assert (found.detected_s, found.recovery_s) == (None, 0.0)


def test_fewer_than_five_good_windows_are_no_recovery():
    found = assess(traffic(bad=lambda s: 60 if 40 <= s < 50 or (s % 5 == 4 and s > 50) else 0), HELD, ())
    assert (found.recovered_s, found.recovery_s, found.had_s) == (None, None, 45.0)


def test_slow_answers_are_seen_in_p99_alone():
    found = assess(traffic(p99=lambda s: 2.0 if 40 <= s < 50 else 0.1), HELD, ())
    assert (found.detected_s, found.recovery_s) == (40.0, 5.0)


def test_a_crowd_left_in_flight_delays_the_recovery():
    crowd = dict.fromkeys(range(90), 6) | dict.fromkeys(range(40, 50), 300)
    found = assess(traffic(in_flight=crowd), HELD, ())
    assert (found.recovered_s, found.in_flight_before, found.in_flight_highest) == (50.0, 6, 300)


def test_missing_answers_are_seen_in_the_throughput():
    done = {s: 0 if 40 <= s < 47 else 60 for s in range(90)}
    found = assess(traffic(completions=done), HELD, ())
    assert (found.detected_s, found.recovery_s) == (40.0, 2.0)


def test_a_lower_stage_after_the_fault_is_not_taken_for_the_fault():
    offered = {s: 100 if s < 60 else 20 for s in range(90)}
    done = {s: 0 if 40 <= s < 58 else offered[s] for s in range(90)}
    found = assess(traffic(completions=done, scheduled=offered), HELD, ())
    assert found.recovered_s == 58.0


def test_a_signal_with_an_slo_is_outside_only_beyond_it():
    evidence = traffic(bad=lambda s: 2 if 40 <= s < 60 else 0)
    assert assess(evidence, HELD, ()).recovery_s == 15.0
    slos = (parse("success_rate >= 95%", place="slos"),)
    assert assess(evidence, HELD, slos).recovery_s == 0.0


def test_too_short_a_baseline_is_inconclusive():
    found = assess(traffic(warmup_s=31.0), HELD, ())
    assert "9 one-second windows" in found.inconclusive
    assert found.recovery_s is None


def test_seconds_without_requests_are_neither_in_nor_out():
    evidence = traffic(bad=lambda s: 60 if 40 <= s < 48 else 0)
    rows = tuple(row for row in evidence.seconds if row.second not in {50, 51})
    found = assess(replace(evidence, groups={"": rows}), HELD, ())
    assert found.recovered_s == 48.0


def test_an_earlier_fault_is_left_out_of_the_baseline_of_a_later_one():
    first = FaultSpan("first", "pause-process", injected_s=20.0, reverted_s=22.0)
    second = FaultSpan("second", "pause-process", injected_s=45.0, reverted_s=47.0)
    evidence = traffic(
        bad=lambda s: 60 if 20 <= s < 25 or 45 <= s < 50 else 0, faults=(second, first), duration_s=80
    )
    done = with_recovery(evidence, ())
    assert [one.recovered_s for one in done.faults] == [50.0, 25.0]
    found = assess(done, second, ())
    assert found.baseline_windows == 25
    assert found.signals[0].baseline == 0.0


def test_the_impact_is_the_difference_to_the_baseline_with_its_interval():
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 2, 90)
    found = assess(traffic(bad=lambda s: 30 + int(noise[s]) if 40 <= s < 45 else int(noise[s])), HELD, ())
    share = next(one for one in found.signals if one.signal == "bad_share")
    assert share.fault is not None
    assert share.change is not None
    assert share.change.value == pytest.approx(share.fault - share.baseline)
    assert share.change.lower < 0.5 < share.change.upper
    assert share.change.lower > 0.4


def test_goodput_is_part_of_the_impact_where_an_objective_names_its_limits():
    goodput = parse("goodput(latency < 200ms) >= 95%", place="slos")
    (bound,) = bounds_of([goodput])

    def counted(row):
        over = 45 if 40 <= row.second < 45 else 3
        return replace(row, bounds={bound.id: BoundCount(60, over, over)})

    plain = traffic(bad=lambda s: 6 if 40 <= s < 45 else 0)
    known = replace(plain, groups={"": tuple(counted(row) for row in plain.seconds)})
    (found,) = [one for one in assess(known, HELD, (goodput,)).signals if one.signal == "goodput"]
    assert (found.baseline, found.fault) == pytest.approx((0.95, 0.25))
    assert found.change.value == pytest.approx(-0.70)
    assert "goodput" not in {one.signal for one in assess(known, HELD, ()).signals}
    assert "goodput" not in {one.signal for one in assess(plain, HELD, (goodput,)).signals}, (
        "nobody counted it"
    )


def test_tries_a_request_are_those_of_the_faults_seconds_and_of_the_calm_before_it():
    tries = {s: {1: 40, 3: 20} if 40 <= s < 44 else {1: 20, 4: 40} if s == 44 else {1: 60} for s in range(90)}
    found = assess(traffic(bad=lambda s: 60 if 40 <= s < 45 else 0, tries=tries), HELD, ())
    assert found.attempts_before == 1.0
    assert found.attempts_during == pytest.approx((4 * 100 + 180) / 300)
    assert found.attempts_highest == pytest.approx(3.0)
    without = assess(traffic(), HELD, ())
    assert (without.attempts_before, without.attempts_during, without.attempts_highest) == (None, None, None)


def test_ordinary_scatter_of_a_poisson_load_is_not_taken_for_a_fault():
    """60/s Poisson, 5 s hang: in 60 seeded runs the recovery is at most 3 s late in all but three."""
    wrong = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sent = rng.poisson(60, 90)
        p99 = rng.normal(0.16, 0.01, 90)
        done = {s: 0 if 40 <= s < 45 else int(sent[s]) for s in range(90)}
        rows = tuple(
            Second(
                s,
                outcomes={"ok": int(sent[s])},
                quantiles={"latency": {0.99: 3.0 if 39 <= s < 45 else float(p99[s])}},
            )
            for s in range(90)
        )
        evidence = Evidence(
            "peak",
            "load",
            90,
            groups={"": rows},
            faults=(HELD,),
            completions=done,
            scheduled={s: int(n) for s, n in enumerate(sent)},
        )
        found = assess(evidence, HELD, ())
        wrong += found.recovery_s is None or found.recovery_s > 3
    assert wrong <= 3


def test_a_fault_on_several_hosts_is_over_when_the_last_of_them_is():
    hosts = (HELD, replace(HELD, injected_s=40.2, reverted_s=47.0))
    evidence = traffic(bad=lambda s: 60 if 40 <= s < 50 else 0, faults=hosts)
    done = with_recovery(evidence, ())
    assert [one.recovered_s for one in done.faults] == [50.0, 50.0]
    whole = done.fault("hang")
    assert (whole.injected_s, whole.reverted_s, whole.recovered_s) == (40.0, 47.0, 50.0)
    assert assess(done, whole, ()).recovery_s == 3.0


def test_a_fault_that_failed_on_one_of_its_hosts_did_not_take_effect():
    hosts = (HELD, replace(HELD, took_effect=False, why="no such pid"))
    whole = traffic(faults=hosts).fault("hang")
    assert (whole.took_effect, whole.why) == (False, "no such pid")
    unreverted = traffic(faults=(HELD, replace(HELD, reverted_s=None))).fault("hang")
    assert unreverted.reverted_s is None


def test_eight_hours_with_several_faults_are_assessed_in_seconds():
    rows = tuple(Second(s, outcomes={"ok": 100}, quantiles={"latency": {0.99: 0.1}}) for s in range(28_800))
    faults = tuple(
        FaultSpan(f"f{i}", "pause-process", 1000.0 + 3000 * i, 1030.0 + 3000 * i) for i in range(8)
    )
    evidence = Evidence("night", "soak", 28_800.0, groups={"": rows}, faults=faults)
    begin_s = time.process_time()
    assert all(one.recovered_s == one.reverted_s for one in with_recovery(evidence, ()).faults)
    assert time.process_time() - begin_s < 10


FIRST = replace(HELD, reverted_s=42.0, step=0)
SECOND = replace(HELD, injected_s=44.0, reverted_s=47.0, step=1)
STRUCK = replace(KILL, name="hang", injected_s=50.0, step=2)


def test_steps_of_one_activity_are_held_against_the_calm_before_the_first():
    evidence = traffic(bad=lambda s: 60 if 40 <= s < 50 else 0, faults=(FIRST, SECOND))
    found = assess(evidence, SECOND, ())
    assert (found.baseline_windows, found.detected_s, found.recovered_s) == (30, 44.0, 50.0)


def test_several_faults_of_an_activity_are_one_span_from_first_to_last():
    whole = joined((FIRST, SECOND))
    assert (whole.injected_s, whole.reverted_s, whole.over_s) == (40.0, 47.0, 47.0)
    evidence = with_recovery(traffic(bad=lambda s: 60 if 40 <= s < 50 else 0, faults=(FIRST, SECOND)), ())
    assert [one.recovered_s for one in evidence.faults] == [50.0, 50.0]
    assert evidence.fault("hang").recovered_s == 50.0


def test_a_kill_after_a_pause_is_where_recovery_begins():
    whole = joined((FIRST, STRUCK))
    assert (whole.one_shot, whole.reverted_s, whole.over_s) == (False, 50.0, 50.0)
    kills = joined((replace(STRUCK, injected_s=40.0), STRUCK))
    assert (kills.one_shot, kills.reverted_s, kills.over_s) == (True, None, 50.0)
    evidence = traffic(bad=lambda s: 60 if 40 <= s < 55 else 0, faults=(FIRST, STRUCK))
    assert assess(evidence, whole, ()).recovery_s == 5.0


def test_a_step_that_was_never_reverted_leaves_the_whole_open():
    assert joined((FIRST, replace(SECOND, reverted_s=None))).reverted_s is None
