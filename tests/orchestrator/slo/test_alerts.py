"""Claims about alerts: METRICS.md section 5, with the fault injected at 20 s and reverted at 25 s."""

import pytest

from orchestrator.slo.evidence import Evidence, FaultSpan
from orchestrator.slo.watched import AlertLog, Firing, Watched

FAULT = FaultSpan("hang", "pause-process", injected_s=20.0, reverted_s=25.0, recovered_s=26.0)
KILL = FaultSpan("hang", "kill-process", injected_s=20.0, reverted_s=None, recovered_s=26.0, one_shot=True)
ALL = frozenset(range(60))


def evidence(*firings, seconds=ALL, faults=(FAULT,), **log):
    watched = Watched(alerts={"Down": AlertLog(firings, frozenset(seconds), **log)})
    return Evidence("hang", "chaos", duration_s=60.0, faults=faults, watched=watched)


@pytest.fixture
def verdict_of(judged):
    """`verdict_of(text, evidence)`: verdict, observed and why of an expectation of `hang`."""

    def judge(text, known, *, place="expect"):
        found = judged(text, known, place=place, fault="hang" if place == "expect" else None)
        return found.verdict, found.observed, found.why

    return judge


@pytest.mark.parametrize(
    ("fired_s", "every_s", "verdict"),
    [(24.0, 0.0, "pass"), (24.0, 1.0, "pass"), (24.0, 2.0, "fail"), (31.0, 0.0, "fail")],
)
def test_an_alert_fires_within_its_time_with_one_interval_of_its_rule_on_top(
    verdict_of, fired_s, every_s, verdict
):
    known = evidence(Firing(fired_s, every_s=every_s))
    found = verdict_of("alert(Down) fires within 5s", known)
    assert found[0] == verdict, found
    assert found[1] == pytest.approx(fired_s - 20.0 + every_s)


def test_an_alert_that_did_not_fire_fails_and_says_since_when_it_was_pending(verdict_of):
    found = verdict_of("alert(Down) fires within 30s", evidence(pending_s=22.0, for_s=300.0))
    assert found[0] == "fail"
    assert "pending from 2 s after the injection on, and its rule waits for 5 min" in found[2]


def test_an_alert_that_fired_before_the_injection_proves_nothing(verdict_of):
    for text in ("alert(Down) fires within 5s", "alert(Down) resolves within 5s", "alert(Down) never fires"):
        found = verdict_of(text, evidence(Firing(3.0)))
        assert (found[0], "firing at the injection already" in found[2]) == ("inconclusive", True), text
    assert verdict_of("alert(Down) fires within 5s", evidence(Firing(3.0, 10.0), Firing(21.0)))[0] == "pass"


def test_watched_for_less_than_its_time_nothing_can_be_said(verdict_of):
    found = verdict_of("alert(Down) fires within 1m", evidence())
    assert (found[0], "in the 40 s that it was watched" in found[2]) == ("inconclusive", True)


def test_a_rule_that_is_not_there_cannot_fire_and_its_silence_is_no_pass(verdict_of):
    known = evidence(absent=True)
    assert verdict_of("alert(Down) fires within 5s", known)[::2] == (
        "fail", "it cannot fire: the monitor has no rule of this name",
    )  # fmt: skip
    assert verdict_of("alert(Down) never fires", known)[0] == "inconclusive"


@pytest.mark.parametrize("text", ["fires within 5s", "never fires"])
def test_a_monitor_that_was_not_read_makes_the_claim_invalid_not_the_target_wrong(verdict_of, text):
    found = verdict_of(f"alert(Down) {text}", evidence(seconds=(), why="p:9090: Connection refused"))
    assert found[::2] == ("invalid", "the monitor was not read: p:9090: Connection refused")
    unwatched = Evidence("hang", "chaos", 60.0, faults=(FAULT,), watched=Watched(why="no worker could"))
    assert "no worker could" in verdict_of(f"alert(Down) {text}", unwatched)[2]


def test_silence_counts_only_where_the_monitor_was_read(verdict_of):
    known = evidence(seconds=ALL - frozenset(range(21, 24)), why="no answer within 2 s")
    assert verdict_of("alert(Down) fires within 10s", known)[0] == "invalid"
    assert verdict_of("alert(Down) fires within 40s", known)[0] == "fail"
    assert verdict_of("alert(Down) never fires", known)[0] == "pass"


@pytest.mark.parametrize(
    ("firing", "text"),
    [
        (Firing(29.98, uncertainty_s=0.05), "alert(Down) fires within 10s"),
        (Firing(20.02, uncertainty_s=0.05), "alert(Down) fires within 10s"),
        (Firing(21.0, 35.02, uncertainty_s=0.05), "alert(Down) resolves within 10s"),
        (Firing(59.98, uncertainty_s=0.05), "alert(Down) never fires"),
    ],
)
def test_where_clocks_are_too_coarse_for_the_margin_nothing_is_claimed(verdict_of, firing, text):
    found = verdict_of(text, evidence(firing))
    assert found[0] == "invalid"
    assert "clocks agree" in found[2]


@pytest.mark.parametrize(
    ("fault", "ended_s", "verdict", "observed"),
    [
        (FAULT, 31.0, "pass", 6.0),
        (FAULT, 36.0, "fail", 11.0),
        (KILL, 31.0, "fail", 11.0),
        (FAULT, 24.0, "pass", 0.0),
    ],
)
def test_it_resolves_from_the_revert_on_and_after_a_one_shot_fault_from_the_injection(
    verdict_of, fault, ended_s, verdict, observed
):
    found = verdict_of("alert(Down) resolves within 10s", evidence(Firing(21.0, ended_s), faults=(fault,)))
    assert found[:2] == (verdict, pytest.approx(observed))


def test_an_alert_that_fires_to_the_end_has_not_resolved(verdict_of):
    assert verdict_of("alert(Down) resolves within 10s", evidence(Firing(21.0)))[0] == "fail"
    assert verdict_of("alert(Down) resolves within 1m", evidence(Firing(21.0)))[0] == "inconclusive"
    assert verdict_of("alert(Down) resolves within 10s", evidence())[0] == "inconclusive"


def test_an_alert_that_flaps_has_resolved_when_it_did_for_the_last_time(verdict_of):
    known = evidence(Firing(21.0, 26.0), Firing(28.0, 33.0), Firing(50.0, 55.0))
    assert verdict_of("alert(Down) resolves within 10s", known)[:2] == ("pass", pytest.approx(8.0))


LATER = FaultSpan("later", "pause-process", injected_s=40.0, reverted_s=42.0, recovered_s=43.0)
BESIDE = FaultSpan("beside", "pause-process", injected_s=22.0, reverted_s=42.0, recovered_s=43.0)


def test_an_alert_that_fires_once_the_next_fault_has_come_is_no_witness_of_this_one(verdict_of):
    text = "alert(Down) fires within 30s"
    found = verdict_of(text, evidence(Firing(41.0), faults=(FAULT, LATER)))
    assert (found[0], "when the next fault had come" in found[2]) == ("inconclusive", True)
    assert verdict_of(text, evidence(Firing(39.0), faults=(FAULT, LATER)))[0] == "pass"
    assert verdict_of(text, evidence(Firing(41.0), faults=(FAULT, BESIDE)))[0] == "pass"
    late = evidence(Firing(41.0), faults=(FAULT, LATER))
    assert verdict_of("alert(Down) fires within 10s", late)[0] == "fail", "it had its time before the next"


@pytest.mark.parametrize("fault", [FAULT, KILL])
def test_a_firing_that_the_next_fault_caused_is_not_this_one_s_to_resolve(verdict_of, fault):
    known = evidence(Firing(21.0, 27.0), Firing(41.0, 58.0), faults=(fault, LATER))
    assert verdict_of("alert(Down) resolves within 30s", known)[0] == "pass"


def test_a_fault_beside_a_kill_that_the_traffic_still_feels_does_not_end_it(verdict_of):
    known = evidence(Firing(24.0), faults=(KILL, BESIDE))
    assert verdict_of("alert(Down) fires within 10s", known)[0] == "pass"


def test_never_fires_reaches_to_the_next_fault(verdict_of):
    assert verdict_of("alert(Down) never fires", evidence(Firing(41.0)))[0] == "fail"
    assert verdict_of("alert(Down) never fires", evidence(Firing(41.0), faults=(FAULT, LATER)))[0] == "pass"


def test_on_a_load_an_alert_must_not_fire_in_its_judged_span(verdict_of):
    text = "alert(Down) never fires"
    assert verdict_of(text, evidence(Firing(30.0, 31.0)), place="slos")[0] == "fail"
    assert verdict_of(text, evidence(), place="slos")[0] == "pass"
    found = verdict_of(text, evidence(Firing(-9.0)), place="slos")
    assert found[::2] == ("fail", "it was firing when the judged span began")


def test_a_fault_that_was_not_done_or_did_nothing_says_nothing_of_alerts(verdict_of):
    known = evidence(Firing(21.0), faults=())
    assert verdict_of("alert(Down) fires within 5s", known)[::2] == (
        "invalid",
        "the fault hang was never injected",
    )
    dud = FaultSpan("hang", "pause-process", 20.0, 25.0, took_effect=False, why="still running")
    assert verdict_of("alert(Down) fires within 5s", evidence(Firing(21.0), faults=(dud,)))[0] == "invalid"
