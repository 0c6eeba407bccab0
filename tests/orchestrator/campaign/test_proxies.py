"""Wrong uses of proxies, each told at its place."""

import json

import pytest

from orchestrator.campaign.load import load_campaign_text
from orchestrator.errors import CampaignFileError

WITH = {"listen": 9000, "upstream": "store:6379", "latency": "1s"}


def slow(at="5s", where=None, fault="tcp-proxy", **with_):
    found = {"fault": fault, "at": at, "for": "4s", "with": WITH | with_}
    return found if where is None else found | {"where": where}


@pytest.fixture
def told(edited):
    """What is wrong with the small campaign with chaos activities of these keys."""

    def find(*several):
        extra = [{"name": f"c{number}", "kind": "chaos", **keys} for number, keys in enumerate(several)]
        try:
            load_campaign_text(json.dumps(edited(extra=extra)))
        except CampaignFileError as error:
            return {one.path: f"{one.message} ({one.hint})" for one in error.problems}
        return {}

    return find


@pytest.mark.parametrize(
    "several",
    [
        [slow()],
        [slow(), slow("10s", latency="2s")],
        [slow(), slow(listen=9001)],
        [slow(where={"label": "a"}), slow(where={"label": "b"}, upstream="other:1")],
        [slow(), slow("10s", fault="dependency", answer="slow")],
    ],
    ids=["one", "one after the other", "two ports", "two places", "two kinds of fault"],
)
def test_proxies_that_make_sense_are_taken(told, several):
    assert told(*several) == {}


def test_a_port_leads_to_one_place_all_through_the_campaign(told):
    (words,) = told(slow(), slow("15s", upstream="other:1")).values()
    assert "port 9000 is that of a proxy to store:6379 already, in c0" in words


def test_a_proxy_holds_one_fault_at_a_time(told):
    (words,) = told(slow(), slow("7s", latency="2s")).values()
    assert "one fault a target at a time" in words


def test_a_proxy_does_not_lead_to_itself(told):
    ((path, words),) = told(slow(upstream="localhost:9000")).items()
    assert path.endswith("with.upstream")
    assert "is the proxy itself" in words


@pytest.mark.parametrize(
    ("with_", "words"),
    [
        ({"upstream": "store:70000"}, "port 70000"),
        ({"refuse": True}, "refuse goes with none of latency"),
        ({"direction": "sideways"}, "sideways"),
        ({"status": 99}, "200"),
    ],
)
def test_options_that_make_no_sense_are_told(told, with_, words):
    assert words in " ".join(told(slow(**with_)).values())
