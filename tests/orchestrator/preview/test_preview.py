from pathlib import Path

import pytest

from orchestrator.campaign.load import load_campaign
from orchestrator.plan import plan_of
from orchestrator.preview.preview import COLUMNS, assumed_fleet, lost_worker_gap_s, preview_of

EXAMPLES = Path(__file__).parents[3] / "examples"


def previewed(campaign, *, workers=2, slots=6, cases=None):
    fleet = assumed_fleet(campaign, workers=workers, slots=slots, host="here")
    return preview_of(campaign, seed=1, fleet=fleet, cases=cases or {})


@pytest.fixture
def example():
    """The preview of an example campaign."""
    return lambda name, **given: previewed(load_campaign(EXAMPLES / f"{name}.yaml").campaign, **given)


def test_the_quickstart_is_all_there(example):
    said = example("quickstart", cases={"golden": 24})
    assert [phase.name for phase in said.phases] == ["smoke", "peak", "soak"]
    assert [phase.starts_s for phase in said.phases] == [0, 0, 30]
    assert (said.duration_s, said.duration_is_known) == (60, False)
    assert (said.requests, said.requests_exact) == (24 + 1710 + 600, False)
    assert (said.unmet, said.unfinished, said.cost) == ((), (), None)
    peak = said.phases[1]
    assert peak.activities[0].lost_worker_requests == 11 * 30
    (fault,) = peak.faults
    assert (fault.workers, fault.hosts, fault.observes) == (("local-1",), ("here",), ("peak-load",))
    assert fault.touches == "the process of the demo target chat"


def test_a_lost_worker_costs_no_more_requests_than_it_has(campaign_of, load_activity):
    short = load_activity.replace("duration: 30s", "duration: 4s")
    assert short != load_activity
    (phase,) = previewed(campaign_of(("p", short))).phases
    activity = phase.activities[0]
    assert activity.lost_worker_requests == activity.requests / 2


def test_the_rate_over_time_has_the_area_of_the_requests(example):
    peak = example("quickstart").phases[1]
    assert len(peak.rates_per_s) == COLUMNS
    assert sum(peak.rates_per_s) * 30 / COLUMNS == pytest.approx(1710)


def test_what_the_assumed_fleet_lacks_is_listed_and_the_rest_placed_all_the_same(example):
    said = example("gameday")
    assert [line.split(":")[1].strip() for line in said.unmet] == [
        "replica-killed",
        "slow-network",
        "gpu-memory-pressure",
    ]
    faults = said.phases[1]
    assert sum(share.shards for share in faults.activities[0].workers) == 2
    assert [fault.workers for fault in faults.faults] == [(), (), (), ("local-1",)]
    assert faults.waits_for == "approval by commander within 15 min"
    assert said.unfinished == ()


def test_a_prelaunch_test_has_its_price(example):
    said = example("prelaunch", cases={"golden": 500, "bad-input": 500, "access": 500})
    hours = (14 * 60 + 8 * 3600) / 3600
    assert said.cost.amount == pytest.approx(3.20 * 4 * hours)
    assert said.lost_worker_gap_s == 31
    by_key = {one.key: one for phase in said.phases for one in phase.activities}
    assert (by_key["golden"].shards, by_key["bad-input"].requests, by_key["access"].requests) == (8, 3500, 2)
    assert {slo.decides for slo in said.slos if slo.activity == "double-peak"} == {"yes", "whole"}


def test_the_gap_of_a_lost_worker_follows_from_the_fence_but_never_ends_before_the_loss_is_seen(
    campaign_of, load_activity
):
    gaps = [
        lost_worker_gap_s(
            plan_of(campaign_of(("p", load_activity), top=f"on_lost_coordinator: {fence}\n"), seed=1)
        )
        for fence in ("10s", "1s")
    ]
    assert gaps == [11.0, pytest.approx(3.1)]


def test_shards_and_their_rates_are_shared_out(campaign_of, load_activity):
    wide = load_activity.replace("shards: 2", "shards: 5")
    (phase,) = previewed(campaign_of(("p", wide)), workers=2, slots=3).phases
    shares = [(one.worker, one.shards, one.peak_per_s) for one in phase.activities[0].workers]
    assert shares == [("local-1", 3, 12.0), ("local-2", 2, 8.0)]


def test_too_few_slots_are_named(campaign_of, load_activity):
    said = previewed(campaign_of(("p", load_activity)), workers=1, slots=1)
    assert said.unmet == ("p: steady: 2 shards need 2 slots, 1 is free on 1 worker (local-1: 1 of 1 free)",)


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ("{port: 8000}", "the one process that listens on port 8000"),
        ("{name: vllm, processes: 2}", "the 2 processes named vllm"),
        ("{cmdline: serve, processes: all}", "all processes whose command line matches serve"),
        ("{pidfile: /run/x.pid}", "the one process of /run/x.pid"),
    ],
)
def test_a_fault_says_which_processes_it_means(campaign_of, load_activity, chaos_activity, match, words):
    chaos = chaos_activity.replace("{port: 8000}", match)
    (phase,) = previewed(campaign_of(("p", load_activity + chaos))).phases
    assert phase.faults[0].touches == words
