"""When objectives were broken, second by second: where a breach begins and ends, and what is none."""

import pytest

from orchestrator.slo.breaches import breaches
from orchestrator.slo.evidence import FaultSpan, Second
from orchestrator.slo.parse import parse

P99 = "p99(latency) < 200ms"


@pytest.fixture
def found(seconds_of, evidence_of):
    """Breaches of an objective where `over(second)` of `n` requests a second were over its bound."""

    def look(text=P99, *, over, n=100, less=None, **more):
        rows = seconds_of(text.removesuffix(" outside faults"), n=n, over=over, less=less)
        return list(breaches(parse(text, place="slos"), evidence_of(rows, **more)))

    return look


def test_a_breach_runs_from_its_first_bad_second_to_the_first_of_five_good_ones(found):
    (one,) = found(over=lambda second: 40 if second in (20, 21, 24) else 0)
    assert (one.slo, one.activity, one.began_s, one.ended_s) == (P99, "peak", 20.0, 25.0)
    assert one.why == "24% of 500 requests were over 200 ms; at most 1% may be"


def test_stretches_apart_are_breaches_apart_and_one_at_the_end_is_open(found):
    first, second, third = found(over=lambda at: 40 if at in (10, 11, 17) or at > 55 else 0)
    assert (first.began_s, first.ended_s) == (10.0, 12.0)
    assert (second.began_s, second.ended_s) == (17.0, 18.0)
    assert (third.began_s, third.ended_s) == (56.0, None)


def test_one_slow_request_in_a_quiet_second_is_no_breach(found):
    assert found(n=20, over=lambda second: 1 if second % 9 == 0 else 0) == []
    assert found(n=100, over=lambda second: 1) == [], "which is what is allowed"


def test_what_only_the_generator_made_slow_is_no_breach(found):
    assert found(over=lambda second: 40, less=lambda second: 0) == []


def test_seconds_of_a_fault_are_left_out_where_the_objective_says_so(found):
    hang = FaultSpan("hang", "pause-process", injected_s=20.25, reverted_s=23.0, recovered_s=25.0)
    slow = {"over": lambda second: 90 if 20 <= second < 25 else 0, "faults": (hang,)}
    (one,) = found(**slow)
    assert (one.began_s, one.ended_s) == (20.25, 25.0), "it began with the fault, not before"
    assert found(f"{P99} outside faults", **slow) == []


def test_failures_break_a_success_rate_and_other_forms_have_no_seconds(evidence_of):
    rows = [Second(at, outcomes={"reset": 30, "ok": 70} if at == 7 else {"ok": 100}) for at in range(60)]
    (one,) = breaches(parse("success_rate >= 99%", place="slos"), evidence_of(rows))
    assert (one.began_s, one.ended_s, one.why) == (
        7.0, 8.0, "30% of 100 requests were not answered well; at most 1% may be",
    )  # fmt: skip
    for text in ("throughput > 5/s", "never(http_5xx)", "success_rate >= 99% for a=b"):
        assert list(breaches(parse(text, place="slos"), evidence_of(rows))) == []
