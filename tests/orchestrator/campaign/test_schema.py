import copy
import json

import jsonschema
import pytest

from orchestrator.campaign.schema import campaign_schema


@pytest.fixture(scope="module")
def validator():
    schema = campaign_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_examples_keep_to_the_schema(validator, example_documents):
    assert len(example_documents) >= 3
    for name, document in example_documents.items():
        assert [error.message for error in validator.iter_errors(document)] == [], name


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("campaign",), "Not A Name"),
        (("sed",), 1),
        (("targets", "Chat"), {"protocol": "json-http", "url": "http://h"}),
        (("seed",), None),
        (("on_lost_coordinator",), 10),
        (("targets", "chat", "protocol"), "openai-chap"),
        (("phases", 1, "activities", 0, "duration"), "30"),
        (("phases", 1, "activities", 0, "at"), "5s"),
        (("phases", 1, "activities", 0, "arrivals", "rate"), "20"),
        (("phases", 1, "activities", 1, "fault"), "pause"),
        (("phases", 2, "activities", 0, "slos"), "success_rate > 9%"),
    ],
)
def test_the_schema_refuses_what_no_field_takes(validator, example_documents, path, value):
    document = copy.deepcopy(example_documents["quickstart.yaml"])
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    assert list(validator.iter_errors(document))


def test_the_schema_leaves_room_for_anchors_and_is_plain_json(validator, example_documents):
    document = example_documents["gameday.yaml"] | {"x-anything": [1, {"a": None}]}
    assert list(validator.iter_errors(document)) == []
    assert json.loads(json.dumps(campaign_schema())) == campaign_schema()
