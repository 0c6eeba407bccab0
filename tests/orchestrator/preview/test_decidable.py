import pytest

from orchestrator.plan import plan_of
from orchestrator.preview.decidable import Judged, level_preview, slo_preview
from orchestrator.slo.parse import parse


@pytest.fixture
def asked(campaign_of, load_activity, chaos_activity):
    """Whether the load of 600 requests in 30 s, with a fault from 15 to 17 s, decides an expression."""

    def ask(text, *, place="slos", more="", arrivals=None, chaos=chaos_activity):
        load = load_activity.replace("        shards: 2\n", more)
        if arrivals:
            load = load.replace("{process: constant, rate: 20/s}\n        duration: 30s", arrivals)
        phase = plan_of(campaign_of(("p", load + chaos.replace("at: 5s", "at: 15s"))), seed=1).phases[0]
        fault = phase.activities[1] if place == "expect" else None
        return slo_preview(
            parse(text, place=place), Judged(phase.activities[0], phase), place=place, fault=fault
        )

    return ask


def test_the_quickstarts_comment_is_true(asked):
    said = asked("success_rate >= 99%")
    assert (said.decides, said.requests) == ("yes", 600)
    assert said.why == "600 requests can carry 99%; 99.9% would take 4,603"


def test_too_few_requests_say_how_many_it_takes_and_how_much_longer(asked):
    said = asked("p99.9(latency) < 1s")
    assert said.decides == "no"
    assert said.why == "600 requests carry at most 99.2%; 99.9% would take 4,603, 3.34 min more at this rate"


def test_random_arrivals_are_said_to_be_about_so_many(asked):
    said = asked("success_rate >= 99%", arrivals="{process: poisson, rate: 20/s}\n        duration: 30s")
    assert said.why.startswith("about 600 requests")


def test_the_warm_up_is_not_judged(asked):
    assert asked("success_rate >= 99%", more="        warmup: 10s\n").requests == 400


def test_the_emptiest_window_decides(asked):
    said = asked("p95(latency) < 1s over 8s")
    assert (said.decides, said.requests) == ("yes", 120)
    assert "120 requests in the emptiest window" in said.why
    assert asked("p99(latency) < 1s over 8s").decides == "no"


def test_a_stage_is_judged_by_its_own_requests(asked):
    stages = "{process: constant, stages: [{rate: 1/s, for: 20s}, {rate: 60/s, for: 10s, name: high}]}"
    assert asked("p99(latency) < 1s during high", arrivals=stages).requests == 600


def test_a_fault_leaves_its_second_before_and_its_own_time_out(asked):
    assert asked("p99(latency) < 1s outside faults").requests == pytest.approx(600 - 3 * 20)


def test_an_expectation_is_judged_while_the_fault_lasts(asked):
    said = asked("success_rate >= 50%", place="expect")
    assert (said.requests, said.fault, said.decides) == (40, "hang", "yes")


def test_how_long_a_kill_is_felt_is_not_known(asked, chaos_activity):
    kill = chaos_activity.replace("pause-process", "kill-process").replace("        for: 2s\n", "")
    assert asked("success_rate >= 50%", place="expect", chaos=kill).decides == "open"


def test_recovery_needs_ten_seconds_to_be_held_against(asked):
    assert asked("recovery < 5s", place="expect").decides == "whole"
    early = asked("recovery < 5s", place="expect", more="        warmup: 8s\n")
    assert early.decides == "no"
    assert "7 s before the injection" in early.why


def test_a_recovery_needs_traffic_left_to_be_seen_in(asked, chaos_activity):
    assert asked("recovery < 9s", place="expect").decides == "no"
    late = asked("recovery < 5s", place="expect", chaos=chaos_activity.replace("for: 2s", "for: 6s"))
    assert late.decides == "no"
    assert late.why == "9 s of traffic are left after it; a recovery in 5 s is seen 5 s later"


@pytest.mark.parametrize(
    "text", ["throughput > 3/s", "never(http_5xx)", "max(latency) < 9s", "burn_rate < 6 over 10s"]
)
def test_what_is_measured_whole_needs_no_number(asked, text):
    assert asked(text).decides == "whole"


def test_a_mean_needs_twenty_seconds(asked):
    assert asked("mean(latency) < 1s").decides == "yes"
    assert asked("mean(latency) < 1s", more="        warmup: 15s\n").decides == "no"


@pytest.mark.parametrize("text", ["p99(latency) < 1s for size=big", "drift(psi, scores) < 0.2"])
def test_what_only_the_data_can_tell_is_open(asked, text):
    assert asked(text).decides == "open"


def test_a_search_is_held_to_its_lowest_level():
    said = level_preview(
        parse("p99(latency) < 1s", place="while"), activity="knee", least_per_s=5.0, held_s=50.0
    )
    assert (said.decides, said.requests) == ("no", 250)
    assert said.why.startswith("at the lowest level about 250 requests carry at most")
