from pathlib import Path

import pytest

from orchestrator.campaign.load import load_campaign, load_campaign_text
from orchestrator.plan import MOST_IN_FLIGHT, Where, activity_keys, plan_of
from workers.contract.schedule import ClosedArrivals, Segment, cumulated, peak_per_s

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.yaml"
DATA = "        data: {synthetic: {input_tokens: 8, output_tokens: 8}}\n"


def load(arrivals, *, more="", name="steady", duration="30s"):
    lasts = f"        duration: {duration}\n" if duration else ""
    return (
        f"      - name: {name}\n        kind: load\n        target: chat\n"
        f"        arrivals: {{{arrivals}}}\n{lasts}{DATA}{more}"
    )


def segments(campaign):
    return plan_of(campaign, seed=1).activity("steady").arrivals.segments


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_plans_and_the_same_seed_gives_the_same_plan(file):
    campaign = load_campaign(file).campaign
    plan = plan_of(campaign, seed=5)
    assert plan == plan_of(campaign, seed=5)
    assert [phase.name for phase in plan.phases] == [phase.name for phase in campaign.phases]


def test_a_name_used_in_two_phases_gets_its_phase_in_its_key(campaign_of, load_activity):
    other = load_activity.replace("steady", "other")
    campaign = campaign_of(("one", load_activity + other), ("two", load_activity))
    assert activity_keys(campaign) == {
        ("one", "steady"): "one/steady",
        ("one", "other"): "other",
        ("two", "steady"): "two/steady",
    }
    assert plan_of(campaign, seed=1).activity("two/steady").phase == "two"


def test_two_activities_of_one_name_draw_different_arrivals(campaign_of, load_activity):
    plan = plan_of(campaign_of(("one", load_activity), ("two", load_activity)), seed=1)
    assert plan.activity("one/steady").arrivals.stream != plan.activity("two/steady").arrivals.stream


def test_a_ramp_grows_linearly_from_nothing_inside_the_duration(campaign_of):
    campaign = campaign_of(("p", load("process: poisson, rate: 20/s, ramp: 4s")))
    assert segments(campaign) == (Segment(0.0, 4.0, 0.0, 20.0), Segment(4.0, 30.0, 20.0, 20.0))
    assert cumulated(plan_of(campaign, seed=1).activity("steady").arrivals, 30.0) == 4 * 10 + 26 * 20


def test_a_stage_ramps_from_the_rate_of_the_stage_before(campaign_of):
    stages = (
        "process: constant, stages: [{rate: 10/s, for: 5s, ramp: 5s, name: up}, "
        "{rate: 30/s, for: 6s, ramp: 2s, name: high}, {rate: 5/s, for: 1s}]"
    )
    campaign = campaign_of(("p", load(stages, duration=None)))
    assert segments(campaign) == (
        Segment(0.0, 5.0, 0.0, 10.0, "up"),
        Segment(5.0, 7.0, 10.0, 30.0, "high"),
        Segment(7.0, 11.0, 30.0, 30.0, "high"),
        Segment(11.0, 12.0, 5.0, 5.0, ""),
    )
    assert plan_of(campaign, seed=1).phases[0].duration_s == 12.0


@pytest.mark.parametrize(
    ("more", "expected"),
    [("", 1200), ("        max_in_flight: 7\n", 7)],
    ids=["rate × timeout", "as written"],
)
def test_max_in_flight_is_as_written_or_follows_from_rate_and_timeout(campaign_of, more, expected):
    campaign = campaign_of(("p", load("process: constant, rate: 20/s", more=more)))
    assert plan_of(campaign, seed=1).activity("steady").max_in_flight == expected


def test_max_in_flight_has_a_ceiling(campaign_of):
    campaign = campaign_of(("p", load("process: constant, rate: 5000/s")))
    assert plan_of(campaign, seed=1).activity("steady").max_in_flight == MOST_IN_FLIGHT


def test_a_closed_loop_is_divided_by_its_users(campaign_of):
    campaign = campaign_of(("p", load("process: closed, users: 12, think: 2s")))
    activity = plan_of(campaign, seed=1).activity("steady")
    assert activity.arrivals == ClosedArrivals(users=12, think_s=2.0, duration_s=30.0)
    assert (activity.units, activity.max_in_flight) == (12, 12)


def test_a_load_that_stops_with_its_rows_is_known_to(campaign_of):
    rows = load("process: constant, rate: 20/s").replace(
        DATA, "        data: {file: r.jsonl, at_end: stop}\n"
    )
    assert plan_of(campaign_of(("p", rows)), seed=1).activity("steady").ends_with_data


def test_a_fault_goes_to_one_host_unless_told_and_to_the_demo_targets_own(
    campaign_of, load_activity, chaos_activity
):
    campaign = campaign_of(("p", load_activity + chaos_activity))
    assert plan_of(campaign, seed=1).activity("hang").where == Where(at_most_hosts=1)
    demo = load_campaign(QUICKSTART).campaign
    assert plan_of(demo, seed=1).activity("server-hang").where == Where(
        labels=("model-server",), at_most_hosts=1
    )


KINDS = {
    "trace": load("process: trace, trace: t.jsonl", duration=None),
    "search": (
        "      - name: knee\n        kind: search\n        target: chat\n"
        "        arrivals: {process: poisson}\n"
        "        find: max rate\n"
        "        between: [10/s, 400/s]\n        while: [p99(latency) < 1s]\n" + DATA
    ),
    "users": (
        "      - name: knee\n        kind: search\n        target: chat\n"
        "        arrivals: {process: closed}\n"
        "        find: max concurrency\n"
        "        between: [1, 64]\n        while: [p99(latency) < 1s]\n" + DATA
    ),
    "batch": "      - name: job\n        kind: batch\n        submit: {}\n        done: {}\n",
    "telemetry": (
        "      - name: readings\n        kind: telemetry\n        sources: [host]\n        duration: 5s\n"
    ),
    "probes": (
        "      - name: access\n        kind: regression\n        target: chat\n"
        "        probes: [no-credentials]\n"
    ),
    "composition": load("process: constant, rate: 9/s")
    + "      - name: both\n        kind: chaos\n        order: parallel\n"
    "        faults: [{fault: noop, for: 2s}, {fault: noop, for: 1s, at: 1s}]\n",
    "clients": load("process: constant, rate: 9/s")
    + "      - name: leave\n        kind: chaos\n        fault: disconnect-mid-stream\n        target: chat\n"
    "        for: 2s\n        with: {rate: 1/s}\n",
}


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_validates_plans(text_of, kind):
    plan = plan_of(load_campaign_text(text_of(("p", KINDS[kind]))).campaign, seed=1)
    assert len(plan.phases) == 1


def test_a_search_can_be_split_as_far_as_its_highest_level_allows(campaign_of):
    assert plan_of(campaign_of(("p", KINDS["search"])), seed=1).activity("knee").units == 40
    assert plan_of(campaign_of(("p", KINDS["users"])), seed=1).activity("knee").units == 64


def test_peak_is_the_highest_rate_of_all_stages(campaign_of):
    campaign = campaign_of(
        ("p", load("process: constant, stages: [{rate: 10/s, for: 5s}, {rate: 3/s, for: 5s}]", duration=None))
    )
    assert peak_per_s(plan_of(campaign, seed=1).activity("steady").arrivals) == 10.0
