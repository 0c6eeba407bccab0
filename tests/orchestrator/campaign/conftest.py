import copy
import json
from pathlib import Path

import pytest

from orchestrator.campaign.load import load_campaign, load_campaign_text
from orchestrator.campaign.yaml_reader import plain, read
from orchestrator.errors import CampaignFileError

EXAMPLES = Path(__file__).parents[3] / "examples"
NAMED = (
    "golden/chat.jsonl",
    "golden/ranker.parquet",
    "contracts/ranker.yaml",
    "traffic/monday.parquet",
    "traffic/night.csv",
    "traffic/chat.jsonl",
)
SMALL = """\
campaign: small
targets:
  chat:
    protocol: openai-chat
    model: m
    url: http://127.0.0.1:8000
phases:
  - name: only
    activities:
      - name: steady
        kind: load
        target: chat
        arrivals: {process: poisson, rate: 20/s}
        duration: 30s
        data: {synthetic: {input_tokens: 8, output_tokens: 8}}
        slos:
          - success_rate >= 99%
"""


@pytest.fixture
def examples(tmp_path):
    """The example campaigns, with every file that they name, in a folder of their own."""
    for source in EXAMPLES.glob("*.yaml"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    for name in NAMED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def example_documents():
    """Each example's name with its text as plain data."""
    return {one.name: plain(read(one.read_text())) for one in sorted(EXAMPLES.glob("*.yaml"))}


@pytest.fixture
def small():
    """A small valid campaign's text."""
    return SMALL


@pytest.fixture
def problems(tmp_path):
    """Write a campaign file and give what is wrong with it; nothing where it is right."""

    def find(text, sets=()):
        file = tmp_path / "c.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        try:
            load_campaign(file, sets=sets)
        except CampaignFileError as error:
            return error.problems
        return ()

    return find


@pytest.fixture
def said():
    """A document to what is wrong with it: (path, message with its hint) each; nothing where it is right."""

    def find(document):
        try:
            load_campaign_text(json.dumps(document))
        except CampaignFileError as error:
            return [(one.path, f"{one.message} ({one.hint})") for one in error.problems]
        return []

    return find


@pytest.fixture
def edited():
    """The small campaign as data, with one more activity, or other keys in its activity and target."""

    def edit(*, activity=None, extra=(), target=None, top=None):
        document = copy.deepcopy(plain(read(SMALL)))
        phase = document["phases"][0]
        for key, value in (activity or {}).items():
            phase["activities"][0][key] = value
        phase["activities"] = [{k: v for k, v in phase["activities"][0].items() if v is not None}, *extra]
        document["targets"]["chat"].update(target or {})
        document["targets"]["chat"] = {k: v for k, v in document["targets"]["chat"].items() if v is not None}
        document.update(top or {})
        return document

    return edit
