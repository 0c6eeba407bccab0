import pytest

from orchestrator.aggregate.totals import Aggregate
from orchestrator.facts import State, fold
from orchestrator.judging.judging import Golden, judge_campaign, judge_phase
from orchestrator.judging.observing import observed_by
from orchestrator.plan import plan_of
from workers.contract import facts as f
from workers.contract.bounds import BoundCount
from workers.contract.schedule import per_second
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import CaseResult, Cell, Snapshot

START_S = 1000.0


def folded(facts):
    state = State()
    for fact in facts:
        state = fold(state, fact)
    return state


def placed(key, *, phase="p", shard=0, of=1, number=1, host="h"):
    id_ = f"{key}:{shard}:{number}"
    return f.Placed(
        attempt=id_, phase=phase, activity=key, shard=shard, of=of, number=number, worker=f"w-{host}",
        incarnation="one", host=host, at_s=START_S - 1,
    )  # fmt: skip


def journal(*placements, end=True):
    """A phase that ran: everything placed, started and, unless told, done."""
    facts = [f.PhaseOpened(phase="p"), *placements, f.PhaseStarted(phase="p", start_s=START_S)]
    if end:
        facts += [f.Exited(attempt=one.attempt, outcome="done", dispatched=10**6) for one in placements]
    return facts


def answers(arrivals, key="steady", *, failed_in=()):
    """An aggregate in which every arrival was answered in 50 ms, or reset in the named seconds."""
    aggregate = Aggregate()
    cells = []
    for second, count in enumerate(per_second(arrivals).tolist()):
        bad = second in failed_in
        sketches = {"latency": to_wire(sketch_of([0.05] * count))} if not bad else {}
        over = count if bad else 0
        bounds = {"latency<0.2": BoundCount(count, over, over)}
        cells.append(Cell(second, "", {"reset" if bad else "ok": count}, bounds, sketches))
    aggregate.absorb(Snapshot(key, 0, f"{key}:0:1", 1, 0.0, 10**6, 0, [], cells))
    return aggregate


@pytest.fixture
def judged(campaign_of):
    """Judge phase `p` of the activities given as text, after the facts given."""

    def judge(text, facts, *, aggregate=None, cases=None, **answered):
        campaign = campaign_of(("p", text))
        plan = plan_of(campaign, seed=1)
        if aggregate is None:
            aggregate = answers(plan.activity("steady").arrivals, **answered)
        return judge_phase(
            "p",
            campaign=campaign,
            plan=plan,
            state=folded(facts),
            aggregate=aggregate,
            golden=Golden(cases or {}),
        )

    return judge


def test_a_load_that_kept_its_objective_passes(judged, load_activity):
    result = judged(load_activity, journal(placed("steady")))
    assert result.verdict.verdict == "pass"
    (judgement,) = result.judgements
    assert (judgement.verdict, judgement.samples) == ("pass", 600)
    assert result.measured[0].account.unknown.total() == 0


def test_a_load_that_broke_its_objective_fails(judged, load_activity):
    result = judged(load_activity, journal(placed("steady")), failed_in=range(5, 20))
    assert result.verdict.verdict == "fail"


def test_a_load_of_which_too_much_was_never_seen_is_invalid(judged, load_activity):
    lost = [
        *journal(placed("steady"), end=False),
        f.Lost(attempt="steady:0:1", fence_s=START_S + 9, why="gone"),
    ]
    result = judged(load_activity, lost, aggregate=Aggregate())
    assert result.verdict.verdict == "invalid"
    assert "unknown" in " ".join(result.activities[0].reasons)


def test_a_phase_that_never_began_is_invalid_and_a_skipped_one_is_skipped(judged, load_activity):
    assert judged(load_activity, [f.PhaseOpened(phase="p")]).verdict.verdict == "invalid"
    skipped = judged(load_activity, [f.PhaseSkipped(phase="p", why="requires q, which ended with fail")])
    assert skipped.verdict.skipped_because == "requires q, which ended with fail"


def seen(attempt, what, at_s, **given):
    return f.FaultSeen(attempt=attempt, what=what, at_s=START_S + at_s, **given)


def done_well(attempt):
    return [
        seen(attempt, "injected", 15.0),
        seen(attempt, "verified", 15.1, took_effect=True),
        seen(attempt, "reverted", 17.0),
    ]


def test_a_fault_that_was_done_and_recovered_from_passes(judged, load_activity, chaos_activity):
    fault = chaos_activity.replace("at: 5s", "at: 15s")
    facts = [*journal(placed("steady"), placed("hang")), *done_well("hang:0:1")]
    result = judged(load_activity + fault, facts)
    by_key = {one.activity: one for one in result.activities}
    assert by_key["hang"].verdict == "pass", by_key["hang"].reasons
    (fault_result,) = result.faults
    assert (fault_result.span.worker, fault_result.span.injected_s) == ("w-h", 15.0)


def test_a_fault_that_was_never_injected_is_invalid_and_says_why(judged, load_activity, chaos_activity):
    failed = seen("hang:0:1", "failed", 5.0, why="two processes listen on port 8000")
    result = judged(load_activity + chaos_activity, [*journal(placed("steady"), placed("hang")), failed])
    by_key = {one.activity: one for one in result.activities}
    assert by_key["hang"].verdict == "invalid"
    assert "never injected: two processes listen on port 8000" in " ".join(by_key["hang"].reasons)


@pytest.mark.parametrize(
    "end",
    [
        f.Exited(attempt="hang:0:1", outcome="stopped", why="the worker is draining"),
        f.Lost(attempt="hang:0:1", fence_s=START_S + 18, why="the worker is draining"),
    ],
)
def test_a_fault_that_was_cut_short_is_invalid_though_it_was_reverted(
    judged, load_activity, chaos_activity, end
):
    facts = [*journal(placed("steady"), placed("hang"), end=False), *done_well("hang:0:1"), end]
    result = judged(load_activity + chaos_activity.replace("at: 5s", "at: 15s"), facts)
    by_key = {one.activity: one for one in result.activities}
    assert by_key["hang"].verdict == "invalid"
    assert "ended before its time on h: the worker is draining" in " ".join(by_key["hang"].reasons)


def test_a_fault_done_on_one_of_two_hosts_is_invalid_and_names_the_right_workers(
    judged, load_activity, chaos_activity
):
    both = (placed("hang", of=2, host="a"), placed("hang", shard=1, of=2, host="b"))
    failed = seen("hang:0:1", "failed", 5.0, why="nobody listens on port 8000")
    facts = [*journal(placed("steady"), *both), failed, *done_well("hang:1:1")]
    result = judged(load_activity + chaos_activity, facts)
    by_key = {one.activity: one for one in result.activities}
    assert by_key["hang"].verdict == "invalid"
    assert "never injected on a: nobody listens" in " ".join(by_key["hang"].reasons)
    assert [one.span.worker for one in result.faults] == ["w-b"]


def test_a_fault_whose_first_attempt_was_lost_before_the_start_is_judged_by_its_second(
    judged, load_activity, chaos_activity
):
    fault = chaos_activity.replace("at: 5s", "at: 15s")
    facts = [
        f.PhaseOpened(phase="p"), placed("steady"), placed("hang"),
        f.Lost(attempt="hang:0:1", fence_s=0.0, why="not claimed"), placed("hang", number=2),
        f.PhaseStarted(phase="p", start_s=START_S), *done_well("hang:0:2"),
        f.Exited(attempt="steady:0:1", outcome="done", dispatched=10**6),
        f.Exited(attempt="hang:0:2", outcome="done"),
    ]  # fmt: skip
    result = judged(load_activity + fault, facts)
    assert {one.activity: one.verdict for one in result.activities}["hang"] == "pass"


def test_a_golden_set_is_judged_on_its_cases(judged):
    text = (
        "      - name: golden\n        kind: regression\n        target: chat\n        golden: g.jsonl\n"
        "        slos: [pass_rate >= 100%]\n"
    )
    results = [CaseResult(row, f"id-{row}", "ok", row != 3, "differs", 0.1) for row in range(10)]
    verdicts = {}
    for passing in (True, False):
        aggregate = Aggregate()
        cases = [one for one in results if one.passed] if passing else results
        aggregate.absorb(
            Snapshot(
                "golden",
                0,
                "golden:0:1",
                1,
                0.0,
                10,
                0,
                [],
                [Cell(0, "", {"ok": len(cases)}, {}, {})],
                cases=cases,
            )
        )
        verdicts[passing] = judged(
            text, journal(placed("golden")), aggregate=aggregate, cases={"golden": len(cases)}
        ).verdict.verdict
    assert verdicts == {True: "pass", False: "fail"}


def test_a_fault_observes_what_it_names_else_all_loads_on_its_target(
    campaign_of, load_activity, chaos_activity
):
    other = load_activity.replace("steady", "other")
    for named, expected in (("", ("steady", "other")), ("        observe: [other]\n", ("other",))):
        campaign = campaign_of(("p", load_activity + other + chaos_activity + named))
        phase = plan_of(campaign, seed=1).phases[0]
        assert observed_by(campaign.phases[0].activities[2], phase) == expected


@pytest.mark.parametrize(
    ("aborting", "expected"),
    [
        (None, "pass"),
        (f.Aborting(by="abort_if", why="success_rate < 50% over 1m: 12%", verdict="fail"), "fail"),
        (f.Aborting(by="shakeout", why="phase q could not begin", verdict="invalid"), "invalid"),
        # its last fact says aborted; nothing that was measured may be claimed
        (f.Aborting(by="ada", why="aborted by ada", verdict="aborted"), "invalid"),
    ],
)
def test_what_stopped_a_campaign_decides_how_it_ended(judged, load_activity, aborting, expected):
    result = judged(load_activity, journal(placed("steady")))
    verdict = judge_campaign([result], folded([aborting] if aborting else []))
    assert verdict.verdict == expected
    if aborting:
        assert aborting.why in verdict.reasons[0]


SEVERAL = """\
      - name: hang
        kind: chaos
        at: 15s
        pause: 1s
        faults: [{fault: pause-process, for: 2s, match: {port: 8000}}, {fault: noop, for: 1s}]
"""


def of_step(attempt, step, at_s, length_s, **given):
    return [
        seen(attempt, "injected", at_s, step=step, **given),
        seen(attempt, "verified", at_s + 0.1, step=step, took_effect=True),
        seen(attempt, "reverted", at_s + length_s, step=step, took_effect=True),
    ]


def test_each_step_of_a_composition_is_a_fault_of_its_own_in_the_report(judged, load_activity):
    steps = [
        *of_step("hang:0:1", 0, 15.0, 2.0, processes=("7 server",)),
        *of_step("hang:0:1", 1, 18.0, 1.0, touched=("nothing",)),
    ]
    facts = [*journal(placed("steady"), placed("hang")), *steps]
    result = judged(load_activity + SEVERAL, facts)
    spans = [one.span for one in result.faults]
    assert [(one.name, one.step, one.fault) for one in spans] == [
        ("hang", 0, "pause-process"),
        ("hang", 1, "noop"),
    ]
    assert [(one.injected_s, one.reverted_s) for one in spans] == [(15.0, 17.0), (18.0, 19.0)]
    assert [(one.processes, one.touched) for one in spans] == [(("7 server",), ()), ((), ("nothing",))]
    assert {one.activity: one.verdict for one in result.activities}["hang"] == "pass"


def test_a_step_that_was_never_injected_is_named(judged, load_activity):
    facts = [*journal(placed("steady"), placed("hang")), *of_step("hang:0:1", 0, 15.0, 2.0)]
    facts.append(seen("hang:0:1", "failed", 18.0, step=1, why="no room"))
    result = judged(load_activity + SEVERAL, facts)
    (said,) = [one.reasons for one in result.activities if one.activity == "hang"]
    assert said == ("noop (2 of 2) was never injected on h: no room",)


def test_why_a_fault_failed_counts_before_what_was_put_back_then(judged, load_activity, chaos_activity):
    told = [
        seen("hang:0:1", "reverted", 15.0, took_effect=False, why="broken off by an error"),
        seen("hang:0:1", "failed", 15.1, why="every matched process exited by itself"),
    ]
    result = judged(load_activity + chaos_activity, [*journal(placed("steady"), placed("hang")), *told])
    (said,) = [one.reasons for one in result.activities if one.activity == "hang"]
    assert said[0] == "the fault was never injected: every matched process exited by itself"


def test_the_last_word_on_an_effect_counts(judged, load_activity, chaos_activity):
    fault = chaos_activity.replace("at: 5s", "at: 15s")
    told = [
        *done_well("hang:0:1")[:2],
        seen("hang:0:1", "reverted", 17.0, took_effect=False, why="it ran on"),
    ]
    result = judged(load_activity + fault, [*journal(placed("steady"), placed("hang")), *told])
    (said,) = [one.reasons for one in result.activities if one.activity == "hang"]
    assert said[0] == "the fault did not take effect: it ran on"


def test_what_a_later_try_got_rid_of_is_not_left(judged, load_activity, chaos_activity):
    fault = chaos_activity.replace("at: 5s", "at: 15s")
    good = done_well("hang:0:1")
    left = seen("hang:0:1", "residue", 16.9, why="still stopped")
    facts = journal(placed("steady"), placed("hang"))
    (undone,) = [
        one
        for one in judged(load_activity + fault, [*facts, *good[:2], left, good[2]]).activities
        if one.activity == "hang"
    ]
    assert undone.verdict == "pass", undone.reasons
    (stays,) = [
        one
        for one in judged(load_activity + fault, [*facts, *good[:2], left]).activities
        if one.activity == "hang"
    ]
    assert any("left something behind: still stopped" in why for why in stays.reasons)
