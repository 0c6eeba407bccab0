"""Wrong uses of compositions, each told at its place."""

import json

import pytest

from orchestrator.campaign.load import load_campaign_text
from orchestrator.errors import CampaignFileError

CHAOS = "phases[0].activities[1]"
NOOP = {"fault": "noop", "for": "2s"}
KILL = {"fault": "kill-process", "match": {"port": 80}}
PAUSE = {"fault": "pause-process", "match": {"port": 80}, "for": "4s"}
IO = {"fault": "disk-io", "for": "4s", "with": {"path": "/tmp", "jobs": 1}}
MEMORY = {"fault": "gpu-memory", "for": "4s", "with": {"size": "8GiB"}}


def said(document):
    try:
        load_campaign_text(json.dumps(document))
    except CampaignFileError as error:
        return {one.path: f"{one.message} ({one.hint})" for one in error.problems}
    return {}


@pytest.fixture
def told(edited):
    """What is wrong with the small campaign with chaos activities of these keys."""

    def find(*several, top=None):
        extra = [{"name": f"c{number}", "kind": "chaos", **keys} for number, keys in enumerate(several)]
        return said(edited(extra=extra, top=top))

    return find


@pytest.mark.parametrize(
    "keys",
    [
        {"faults": [NOOP, NOOP], "pause": "1s"},
        {"faults": [PAUSE, KILL, PAUSE], "order": "sequence"},
        {"faults": [PAUSE, NOOP | {"at": "3s"}], "order": "parallel"},
        {"faults": [NOOP, KILL], "order": "random", "for": "20s", "pause": "1s"},
        {**MEMORY, "intensity": ["25%", "50%", "100%"]},
        {"faults": [MEMORY | {"intensity": ["50%"]}, NOOP]},
        {"faults": [MEMORY, MEMORY], "intensity": ["50%", "100%"]},
    ],
)
def test_right_compositions_are_right(told, keys):
    assert told(keys) == {}


@pytest.mark.parametrize(
    ("keys", "place", "words"),
    [
        ({**NOOP, "faults": [NOOP]}, "faults", "stands beside fault"),
        ({"faults": [NOOP], "with": {}}, "with", "say it in the fault that it is for"),
        ({"faults": [NOOP], "match": {"port": 80}}, "match", "say it in the fault that it is for"),
        ({"faults": [NOOP], "for": "9s"}, "for", "each of them has its own"),
        ({"faults": []}, "faults", "needs at least 1"),
        ({"faults": [{}]}, "faults[0].fault", "is missing"),
        ({"faults": [NOOP | {"wit": 1}]}, "faults[0].wit", "did you mean with?"),
        ({"faults": [{"fault": "nop"}]}, "faults[0].fault", "did you mean noop?"),
        ({"faults": [NOOP, {"fault": "noop"}]}, "faults[1].for", "held for a time"),
        ({"faults": [NOOP | {"for": "2h"}]}, "faults[0].for", "longer than 1h"),
        ({"faults": [KILL | {"for": "2s"}]}, "faults[0].for", "happens once"),
        ({"faults": [{"fault": "pause-process", "for": "1s"}]}, "faults[0].match", "which process"),
        ({"faults": [MEMORY | {"with": {"size": "8"}}]}, "faults[0].with.size", "has no unit"),
        ({"faults": [NOOP | {"with": {"x": 1}}]}, "faults[0].with.x", "unknown key"),
        ({**NOOP, "order": "parallel"}, "order", "goes with `faults`"),
        ({**NOOP, "pause": "1s"}, "pause", "goes with `faults`"),
        ({"faults": [NOOP | {"at": "1s"}]}, "faults[0].at", "say order: parallel"),
        ({"faults": [NOOP], "order": "parallel", "pause": "1s"}, "pause", "use `at` in each fault"),
        ({"faults": [NOOP], "order": "random"}, "for", "time in which faults are drawn"),
        ({"faults": [KILL], "order": "random", "for": "9s"}, "pause", "itself takes no time"),
        ({"faults": [NOOP], "order": "random", "for": "1s"}, "faults[0].for", "longer than the 1s"),
        ({"faults": [NOOP | {"for": "0.1s"}], "order": "random", "for": "20s"}, "for", "more than 100 steps"),
        ({"faults": [NOOP | {"for": "1ms"}] * 101}, "faults", "more than 100 steps"),
        ({**NOOP, "intensity": ["50%"]}, "intensity", "knows no degrees"),
        ({"faults": [NOOP], "intensity": ["50%"]}, "intensity", "knows no degrees"),
        ({**MEMORY, "intensity": ["0%", "50%"]}, "intensity[0]", "must be above 0%"),
        ({**MEMORY, "intensity": ["101%"]}, "intensity[0]", "100%"),
        (
            {**IO, "intensity": ["25%", "100%"]},
            "intensity[0]",
            "25% of disk-io is the same as 100%: jobs 1 cannot be divided so (say a larger number",
        ),
        (
            {"faults": [IO | {"with": {"path": "/tmp", "jobs": 3}, "intensity": ["30%", "40%", "100%"]}]},
            "faults[0].intensity[1]",
            "40% of disk-io is the same as 30%: jobs 3 cannot be divided so",
        ),
        ({**MEMORY, "intensity": ["1%"] * 50}, "intensity", "to each of 50 steps"),
        (
            {"faults": [MEMORY | {"intensity": ["9%"]}], "intensity": ["5%"]},
            "faults[0].intensity",
            "say it once",
        ),
        ({"faults": [NOOP | {"for": "40s"}]}, "at", "ends at 40s, the phase's traffic at 30s"),
        ({"faults": [NOOP], "order": "random", "for": "30s"}, "at", "ends at 30s"),
    ],
)
def test_a_wrong_composition_is_told_at_its_place(told, keys, place, words):
    found = told(keys)
    assert words in found.get(f"{CHAOS}.{place}", ""), found


def test_two_faults_on_one_process_at_a_time_are_refused_where_it_is_certain(told):
    here = {"where": {"host": "a"}}
    both = {"faults": [PAUSE, PAUSE | {"at": "2s"}], "order": "parallel"}
    assert "one fault a target at a time" in told(both)[CHAOS]
    assert told({**both, "faults": [PAUSE, PAUSE | {"at": "4s"}]}) == {}
    other = "phases[0].activities[2]"
    assert "the same process" in told(PAUSE | here, PAUSE | here | {"at": "2s"})[other]
    assert told(PAUSE | here, PAUSE | here | {"at": "4s"}) == {}
    assert told(PAUSE | here, PAUSE | {"where": {"host": "b"}}) == {}
    assert told(PAUSE | here, PAUSE | here | {"match": {"port": 81}}) == {}
    assert told(PAUSE, PAUSE) == {}, "which hosts these two are done on only the fleet can tell"


def test_a_proxy_is_under_one_fault_at_a_time_and_clients_may_do_several_things_at_once(told):
    slow = {"fault": "tcp-proxy", "for": "4s", "with": {"listen": 9000, "upstream": "127.0.0.1:1"}}
    proxies = [
        slow | {"with": slow["with"] | {"latency": "1s"}},
        slow | {"with": slow["with"] | {"rate": "1MiB/s"}},
    ]
    assert "done to port 9000" in told({"faults": proxies, "order": "parallel"})[CHAOS]
    assert told({"faults": proxies}) == {}
    burst = {"fault": "burst", "for": "4s", "with": {"requests": 20, "every": "1s"}}
    assert told({"faults": [burst, burst], "order": "parallel", "target": "chat"}) == {}


def test_labels_that_are_protected_are_labels(told):
    assert told(top={"protect": ["database", "payments"]}) == {}
    assert "protect[0]" in told(top={"protect": ["no blanks"]})
