import json

import pytest

from orchestrator.campaign.golden import check_golden
from orchestrator.campaign.load import load_campaign

CAMPAIGN = """\
campaign: c
targets: {{t: {{protocol: openai-chat, model: m, url: "http://127.0.0.1:9"}}}}
phases:
  - name: p
    activities:
      - name: g
        kind: regression
        target: t
        golden: {golden}
        slos:
          - pass_rate >= 100% for {tag}
"""
CASE = {"id": "a", "request": {}, "expected": {"content": "x"}, "tags": {"country": "DE"}}


@pytest.fixture
def said(tmp_path):
    def check(*rows, tag="country=DE", golden="g.jsonl"):
        (tmp_path / "g.jsonl").write_text("".join(f"{row}\n" for row in rows))
        file = tmp_path / "c.yaml"
        file.write_text(CAMPAIGN.format(tag=tag, golden=golden))
        return [
            (one.line, one.path, f"{one.message} ({one.hint})") for one in check_golden(load_campaign(file))
        ]

    return check


def test_a_golden_set_with_the_tag_that_is_asked_for_is_right(said):
    assert said(json.dumps(CASE)) == []


def test_broken_rows_are_told_with_file_and_line_at_the_key_that_names_the_file(said):
    ((line, path, words),) = said(json.dumps(CASE), "{", json.dumps(CASE | {"id": "b", "expcted": {}}))
    assert (line, path) == (9, "phases[0].activities[0].golden")
    assert "g.jsonl:2: " in words
    assert "did you mean 'expected'" in words


def test_a_tag_that_no_case_has_is_told_with_those_that_there_are(said):
    ((line, path, words),) = said(json.dumps(CASE), tag="country=FR")
    assert (line, path) == (11, "phases[0].activities[0].slos[0]")
    assert "no case of g.jsonl has country=FR (country is one of DE)" in words
    assert "no case has a tag city" in said(json.dumps(CASE), tag="city=x")[0][2]


def test_a_golden_set_behind_a_url_is_not_read(said):
    assert said(golden="s3://bucket/g.jsonl") == []
