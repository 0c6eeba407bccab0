"""`shakeout import chaostoolkit`, as a person types it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.campaign.load import load_campaign
from orchestrator.cli import app

EXPERIMENTS = Path(__file__).parent.parent / "chaostoolkit" / "experiments"


@pytest.fixture
def shakeout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        words = ["import", "chaostoolkit", *(str(one) for one in arguments)]
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return run


def test_a_campaign_and_its_rows_are_written_and_what_is_missing_is_listed(shakeout, tmp_path):
    done = shakeout(EXPERIMENTS / "model-hang.json", "-o", "hang.yaml")
    assert done.exit_code == 0
    assert done.stdout.startswith("written: hang.yaml, ")
    assert "line 46, method[3] (action 'kill-by-pid'): a pid means nothing the next time" in done.stderr
    assert load_campaign(tmp_path / "hang.yaml").campaign.phases[0].name == "experiment"


def test_without_a_name_the_file_is_called_as_its_campaign(shakeout, tmp_path):
    assert shakeout(EXPERIMENTS / "pods.json").exit_code == 0
    assert (tmp_path / "losing-pods.yaml").exists()


def test_files_that_are_there_are_not_replaced_unless_told(shakeout, tmp_path):
    (tmp_path / "c.yaml").write_text("mine")
    refused = shakeout(EXPERIMENTS / "pods.json", "-o", "c.yaml")
    assert refused.exit_code == 2
    assert "c.yaml is there already: say another -o, or --force" in refused.stderr
    assert (tmp_path / "c.yaml").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "c.yaml"]
    assert shakeout(EXPERIMENTS / "pods.json", "-o", "c.yaml", "--force").exit_code == 0
    assert (tmp_path / "c.yaml").read_text() != "mine"


def test_scripts_are_told_as_json(shakeout):
    done = shakeout(EXPERIMENTS / "noisy-neighbour.yaml", "-o", "n.yaml", "--json")
    told = json.loads(done.stdout)
    assert told["campaign"] == "n.yaml"
    assert told["files"] == ["noisy-neighbour.page.jsonl"]
    assert told["problems"] == []
    assert {"line", "path", "what", "why"} == set(told["left_out"][0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("campaign: x\n", "this is no experiment"),
        ('{"title": ', "e.yaml:1:"),
        ("title: T\nmethod: [{ref: gone}]\n", "there is no step 'gone' before it"),
    ],
)
def test_a_file_that_is_no_experiment_is_refused(shakeout, tmp_path, text, words):
    (tmp_path / "e.yaml").write_text(text)
    done = shakeout("e.yaml", "-o", "c.yaml")
    assert done.exit_code == 2
    assert words in done.stderr
    assert not (tmp_path / "c.yaml").exists()


def test_a_file_that_is_not_there_and_a_variable_without_a_value_are_refused(shakeout):
    assert "no such file" in shakeout("gone.json").stderr
    done = shakeout(EXPERIMENTS / "pods.json", "--var", "namespace")
    assert done.exit_code == 2
    assert "--var 'namespace': say NAME=VALUE" in done.stderr


def test_a_variable_that_is_given_stands_in_the_campaign(shakeout, tmp_path):
    shakeout(EXPERIMENTS / "model-hang.json", "-o", "c.yaml", "--var", "ranking_url=http://10.1.1.1:80")
    assert load_campaign(tmp_path / "c.yaml").campaign.targets["ranking-is-ready"].url == "http://10.1.1.1:80"
