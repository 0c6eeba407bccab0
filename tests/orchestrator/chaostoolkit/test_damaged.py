"""Experiments with anything in the place of anything: refused in words, or a campaign that is valid."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.campaign.load import load_campaign_text
from orchestrator.campaign.yaml_reader import plain, read
from orchestrator.chaostoolkit.convert import convert
from orchestrator.chaostoolkit.experiment import read_experiment
from orchestrator.chaostoolkit.writing import campaign_text
from orchestrator.errors import CampaignFileError

DOCUMENTS = [
    plain(read(path.read_text().replace("\t", " ")))
    for path in sorted((Path(__file__).parent / "experiments").iterdir())
]
ODD = st.sampled_from(
    [
        None, True, 0, -1, 1e9, 3.5, "", " ", "x", "-9", "${none}", "$(cat /x)", "'", "ü" * 70, "10%", "a=b",
        [], ["-9", 1], {}, {"type": "env", "key": "A B"}, {"type": "probe"}, "http://[", "https://h:x/",
        [200, "a"],
    ]
)  # fmt: skip


def _places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield from _places(one, (*path, key))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_experiment_is_refused_or_becomes_a_valid_campaign(data):
    document = copy.deepcopy(data.draw(st.sampled_from(DOCUMENTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        *above, last = data.draw(st.sampled_from([path for path in _places(document) if path]))
        inner = document
        for step in above:
            inner = inner[step]
        inner[last] = copy.deepcopy(data.draw(ODD))  # damage inside it must not stay in ODD
    try:
        experiment = read_experiment(json.dumps(document), file="e.json", given={})
    except CampaignFileError:
        return
    text = campaign_text(convert(experiment), source="e.json")
    try:
        load_campaign_text(text)
    except CampaignFileError as error:
        pytest.fail(f"{error}\n{text}")
