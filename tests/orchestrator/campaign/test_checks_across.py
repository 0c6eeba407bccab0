"""Rules that hold between activities, phases and the campaign as a whole."""

import json

from orchestrator.campaign.load import load_campaign_text

STEADY = "phases[0].activities[0]"
SECOND = "phases[0].activities[1]"
CHAOS = {"name": "hang", "kind": "chaos", "fault": "noop", "at": "5s", "for": "2s"}
SEARCH = {
    "name": "knee",
    "kind": "search",
    "target": "chat",
    "arrivals": {"process": "poisson"},
    "data": {"synthetic": {"input_tokens": 1, "output_tokens": 1}},
    "find": "max rate",
    "between": ["1/s", "9/s"],
    "while": ["success_rate > 9%"],
}
WINDOW = {"from": "09:30", "to": "16:00", "timezone": "Europe/Berlin"}


def test_a_search_beside_a_load_counts_against_the_rate_limit(edited, said):
    assert said(edited(extra=[SEARCH], target={"rate_limit": "29/s"})) == []
    ((path, words),) = said(edited(extra=[SEARCH], target={"rate_limit": "28/s"}))
    assert path == f"{STEADY}.arrivals"
    assert "up to 29/s are offered together" in words


def test_a_phase_with_faults_must_fit_into_the_window(edited, said):
    window = {"gameday": {"window": WINDOW | {"from": "09:30", "to": "09:31"}}}
    assert said(edited(extra=[CHAOS], top=window)) == []
    assert said(edited(activity={"duration": "61s"}, top=window)) == [], "no fault, no window"
    ((path, words),) = said(edited(activity={"duration": "61s"}, extra=[CHAOS], top=window))
    assert path == "phases[0]"
    assert "could never run" in words


def test_a_burn_rate_that_is_expected_of_a_fault_needs_its_objective_too(edited, said):
    expecting = CHAOS | {"expect": ["burn_rate < 6 over 1s"]}
    assert said(edited(extra=[expecting])) == []
    ((path, words),) = said(edited(activity={"slos": ["p99(latency) < 1s"]}, extra=[expecting]))
    assert path == f"{SECOND}.expect[0]"
    assert "activity steady has none" in words


def test_a_fault_and_a_stage_have_different_names(edited, said):
    stages = [{"rate": "1/s", "for": "20s", "name": "hang"}, {"rate": "1/s", "for": "5s", "name": "other"}]
    arrivals = {"process": "poisson", "stages": stages}
    ((path, _),) = said(edited(activity={"arrivals": arrivals, "duration": None}, extra=[CHAOS]))
    assert path == f"{STEADY}.arrivals.stages[0].name"
    slos = ["p99(latency) < 1s over 6s during other"]
    changed = {"arrivals": arrivals, "duration": None, "slos": slos}
    ((path, words),) = said(edited(activity=changed))
    assert path == f"{STEADY}.slos[0]"
    assert "longer than other, 5s" in words


def test_a_target_may_be_called_like_a_key(edited, said):
    document = edited(top={"slos": ["success_rate >= 9%"]})
    document["targets"]["demo"] = document["targets"]["chat"] | {"modle": "m"}
    ((path, words),) = said(document)
    assert path == "targets.demo.modle"
    assert "did you mean model?" in words


def test_what_is_of_no_use_is_warned_of(edited):
    document = edited(top={"abort_if": ["success_rate < 9%", "success_rate < 9% over 5s"]})
    document["targets"]["alerts"] = {"prometheus": "http://127.0.0.1:9090"}
    told = {one.path: one.message for one in load_campaign_text(json.dumps(document)).warnings}
    assert told == {
        "targets.alerts": "no expression asks this monitor for an alert",
        "abort_if[0]": "is never checked: no phase lasts longer than its window of 60s",
    }


def test_a_window_of_abort_if_that_could_only_be_empty_is_refused(edited, said):
    ((path, words),) = said(edited(top={"abort_if": ["success_rate < 9% over 1s"]}))
    assert path == "abort_if[0]"
    assert "say over 2s or longer" in words
    burning = "burn_rate > 10 over 5m and 1s"
    ((path, words),) = said(edited(top={"slos": ["success_rate >= 99%"], "abort_if": [burning]}))
    assert "numbers come in up to a second late" in words


def test_names_of_one_address_share_its_lowest_rate_limit(edited, said):
    same = {"protocol": "openai-chat", "model": "m", "url": "http://127.0.0.1:8000/", "rate_limit": "25/s"}
    document = edited(extra=[SEARCH | {"target": "same"}], target={"url": "http://localhost:8000"})
    document["targets"]["same"] = same
    ((path, words),) = said(document)
    assert path == f"{STEADY}.arrivals"
    assert "up to 29/s are offered together; target same has rate_limit 25/s" in words
    same["rate_limit"] = "29/s"
    assert said(document) == []
    same["url"] = "http://127.0.0.1:8001"
    same["rate_limit"] = "9/s"
    assert said(document) == []


def test_a_closed_load_needs_something_of_a_ceiling_left_for_it(edited, said):
    closed = {
        "name": "users", "kind": "load", "target": "chat", "duration": "9s",
        "arrivals": {"process": "closed", "users": 2},
        "data": {"synthetic": {"input_tokens": 1, "output_tokens": 1}},
    }  # fmt: skip
    assert said(edited(extra=[closed], target={"rate_limit": "21/s"})) == []
    ((path, words),) = said(edited(extra=[closed], target={"rate_limit": "20/s"}))
    assert path == SECOND
    assert "nothing is left for it: others of its phase offer up to 20/s" in words
