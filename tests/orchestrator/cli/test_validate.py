import json

import pytest
import typer
from typer.testing import CliRunner

from orchestrator.cli.schema import schema
from orchestrator.cli.validate import validate

CAMPAIGN = """\
campaign: small
targets:
  chat: {protocol: openai-chat, model: m, url: "http://127.0.0.1:8000"}
phases:
  - name: only
    activities:
      - name: steady
        kind: load
        target: chat
        arrivals: {process: poisson, rate: 20/s}
        duration: 30s
        data: {synthetic: {input_tokens: 8, output_tokens: 8}}
"""


@pytest.fixture
def shakeout():
    app = typer.Typer()
    app.command()(validate)
    app.command()(schema)

    def run(*arguments):
        return CliRunner().invoke(app, [str(one) for one in arguments])

    return run


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(CAMPAIGN)
    return path


def test_a_right_file_is_ok_and_its_warnings_are_told(shakeout, file):
    done = shakeout("validate", file)
    assert done.exit_code == 0
    assert done.stdout == f"{file}: OK\n"
    assert "measured, not judged" in done.stderr


def test_a_wrong_file_exits_2_with_every_problem_on_stderr(shakeout, file):
    file.write_text(CAMPAIGN.replace("30s", "30").replace("20/s", "20"))
    done = shakeout("validate", file)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert f"{file}:10:" in done.stderr
    assert (
        f"{file}:11:9: phases[0].activities[0].duration: a bare number has no unit (say 30s)" in done.stderr
    )
    assert done.stderr.endswith("2 problems\n")


def test_set_replaces_before_checking(shakeout, file):
    assert shakeout("validate", file, "--set", "phases[0].activities[0].duration=5").exit_code == 2
    assert shakeout("validate", file, "--set", "phases[0].activities[0].duration=5s").exit_code == 0


def test_json_is_for_scripts(shakeout, file):
    right = shakeout("validate", file, "--json")
    assert (right.exit_code, json.loads(right.stdout)["valid"]) == (0, True)
    file.write_text("campaign: x\ncampaign: y\n")
    wrong = shakeout("validate", file, "--json")
    told = json.loads(wrong.stdout)
    assert (wrong.exit_code, told["valid"], told["problems"][0]["line"]) == (2, False, 2)


def test_schema_prints_the_json_schema(shakeout):
    assert json.loads(shakeout("schema").stdout)["title"] == "Shakeout campaign"
