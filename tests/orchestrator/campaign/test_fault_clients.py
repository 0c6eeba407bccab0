"""Faults that clients do, as campaigns name them: files, rates, documented answers, what is refused."""

import json

import pytest

from orchestrator.campaign.fault_clients import (
    clients_per_s,
    documented_answers,
    done_by_clients,
    files_of_faults,
)
from orchestrator.campaign.files import named_files
from orchestrator.campaign.load import load_campaign_text
from orchestrator.errors import CampaignFileError
from workers.contract.fault_steps import FaultStep

CHAOS = "phases[0].activities[1]"
BURST = {"fault": "burst", "for": "2s", "with": {"rate": "40/s", "rows": "rows.jsonl"}}
STORM = {"fault": "cancel-storm", "for": "2s", "with": {"requests": 100, "every": "2s"}}
NOOP = {"fault": "noop", "for": "2s"}


@pytest.fixture
def campaign(edited):
    """The small campaign with one more activity, of chaos on its target."""

    def make(**keys):
        given = {"name": "c", "kind": "chaos", "target": "chat", **keys}
        document = edited(extra=[{key: value for key, value in given.items() if value is not None}])
        return load_campaign_text(json.dumps(document)).campaign

    return make


@pytest.fixture
def told(campaign):
    """What is wrong with it."""

    def find(**keys):
        try:
            campaign(**keys)
        except CampaignFileError as error:
            return {one.path: f"{one.message} ({one.hint})" for one in error.problems}
        return {}

    return find


@pytest.mark.parametrize(
    ("keys", "per_s"),
    [
        (BURST, 40.0),
        (STORM, 50.0),
        ({"fault": "duplicate", "for": "2s", "with": {"rate": "10/s", "copies": 3}}, 30.0),
        ({"fault": "slow-loris", "for": "2s"}, 0.0),
        ({"faults": [BURST, STORM]}, 50.0),
        ({"faults": [BURST, STORM], "order": "parallel"}, 90.0),
        (NOOP, 0.0),
    ],
)
def test_what_clients_send_together_is_known_beforehand(campaign, keys, per_s):
    model = campaign(**keys).phases[0].activities[1]
    assert clients_per_s(model) == pytest.approx(per_s)
    assert done_by_clients(model) == (keys is not NOOP)


def test_a_file_of_rows_is_a_file_of_the_campaign(campaign):
    alone = campaign(**BURST)
    assert files_of_faults(alone.phases[0].activities[1]) == ("rows.jsonl",)
    place = ("phases", 0, "activities", 1)
    assert ((*place, "with", "rows"), "rows.jsonl") in list(named_files(alone))
    several = campaign(faults=[NOOP, BURST])
    assert ((*place, "faults", 1, "with", "rows"), "rows.jsonl") in list(named_files(several))


@pytest.mark.parametrize(
    ("fault", "options", "answers"),
    [
        ("malformed", {"rate": "1/s"}, ("4xx",)),
        ("malformed", {"rate": "1/s", "answers": [400, "5xx"]}, ("400", "5xx")),
        ("burst", {"rate": "1/s"}, ()),
        ("noop", {}, ()),
    ],
)
def test_answers_are_documented_where_the_fault_or_the_campaign_says_so(fault, options, answers):
    assert documented_answers(FaultStep(fault, options, None, 0.0, 1.0)) == answers


@pytest.mark.parametrize(
    ("fault", "options", "place", "words"),
    [
        ("burst", {}, "with", "say exactly one of requests, rate"),
        ("burst", {"requests": 5, "rate": "5/s"}, "with", "say exactly one of requests, rate"),
        ("burst", {"rate": "fast"}, "with.rate", "10/s"),
        ("disconnect-mid-stream", {"rate": "20000/s"}, "with", "at most 2000/s"),
        ("slow-reader", {"rate": "5KiB"}, "with.rate", "size per second"),
        ("slow-loris", {"every": "5"}, "with.every", "say 5s"),
        ("malformed", {"rate": "5/s", "kinds": {"odd": 1}}, "with", "say some of"),
        ("malformed", {"rate": "5/s", "answers": ["fine"]}, "with.answers", "regex"),
        ("null-features", {"rate": "5/s", "share": "half"}, "with.share", "10%"),
        ("cancel-storm", {"requests": 5, "after": "3s", "every": "1s"}, "with", "no shorter than after"),
        ("oversize-prompt", {"rate": "5/s"}, "with.tokens", "is missing"),
    ],
)
def test_options_that_do_not_fit_are_told_at_their_place(told, fault, options, place, words):
    found = told(**{"fault": fault, "for": "2s", "with": options})
    assert any(path.startswith(f"{CHAOS}.{place}") and words in said for path, said in found.items()), found


def test_clients_without_a_target_have_nobody_to_visit(told):
    found = told(**BURST, target=None)
    assert "is traffic on a target" in found[f"{CHAOS}.target"]


def test_clients_count_against_the_rate_limit_of_their_target(edited):
    document = edited(extra=[{"name": "c", "kind": "chaos", "target": "chat", **BURST}])
    document["targets"]["chat"]["rate_limit"] = "50/s"
    with pytest.raises(CampaignFileError) as refused:
        load_campaign_text(json.dumps(document))
    (problem,) = refused.value.problems
    assert problem.message == "up to 60/s are offered together; target chat has rate_limit 50/s"
