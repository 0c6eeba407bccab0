"""The commands as a person and a script call them: exit codes, what goes where, `--set` everywhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli import app

EXAMPLES = Path(__file__).parents[3] / "examples"
RESERVED = "these parse and plan but do not run in this version"


@pytest.fixture
def shakeout():
    def run(*arguments):
        return CliRunner().invoke(app, [str(one) for one in arguments])

    return run


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.yaml"], "nowhere.yaml: there is no such file"),
        ([EXAMPLES], "cannot be read: is a directory"),
        ([EXAMPLES / "quickstart.yaml", "--set", "sed=1"], "did you mean seed?"),
        ([EXAMPLES / "quickstart.yaml", "--set", "sed"], "say PATH=VALUE"),
        ([], "Missing argument"),
        ([EXAMPLES / "quickstart.yaml", "--sett", "a=1"], "--set"),
    ],
)
def test_a_wrong_call_exits_2_and_says_so_on_stderr_alone(shakeout, command, arguments, words):
    done = shakeout(command, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_all_problems_of_a_file_come_at_once_like_a_compilers(shakeout, tmp_path, command):
    file = tmp_path / "c.yaml"
    file.write_text((EXAMPLES / "quickstart.yaml").read_text().replace("seed: 7", "seed: x\nsed: 7"))
    done = shakeout(command, file)
    assert done.exit_code == 2
    lines = done.stderr.splitlines()
    assert f"{file}:3:1: seed: must be a whole number (a plain number, no unit and no quotes)" in lines
    assert f"{file}:4:1: sed: unknown key (did you mean seed?)" in lines
    assert lines[-1].endswith("3 problems")  # the golden set does not lie beside this file


@pytest.mark.parametrize("name", ["quickstart", "prelaunch", "gameday"])
def test_every_example_is_valid_and_plans(shakeout, name):
    file = EXAMPLES / f"{name}.yaml"
    valid = shakeout("validate", file, "--json")
    assert (valid.exit_code, json.loads(valid.stdout)["valid"]) == (0, True)
    planned = shakeout("plan", file, "--json", "--set", "seed=11")
    assert (planned.exit_code, json.loads(planned.stdout)["seed"]) == (0, 11)


@pytest.mark.parametrize(("name", "words"), [("prelaunch", "kind search")])
def test_run_refuses_by_name_what_only_plans(shakeout, tmp_path, name, words):
    done = shakeout("run", EXAMPLES / f"{name}.yaml", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert RESERVED in done.stderr
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_broken_golden_set_is_told_by_validate(shakeout, tmp_path):
    text = (EXAMPLES / "quickstart.yaml").read_text()
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "chat.jsonl").write_text('{"id": "a", "request": {}}\n')
    (tmp_path / "c.yaml").write_text(text)
    done = shakeout("validate", tmp_path / "c.yaml")
    assert done.exit_code == 2
    assert f"{tmp_path / 'c.yaml'}:20:9: phases[0].activities[0].golden: golden/chat.jsonl has" in done.stderr
    assert 'golden/chat.jsonl:1: "expected" is missing' in done.stderr


def test_the_command_itself_ends_with_the_codes_and_answers_quickly():
    command = [sys.executable, "-m", "orchestrator", "validate", EXAMPLES / "quickstart.yaml"]
    right = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=os.environ)
    assert (right.returncode, right.stdout.endswith("quickstart.yaml: OK\n"), right.stderr) == (0, True, "")
    wrong = subprocess.run(
        [*command, "--set", "seed="], capture_output=True, text=True, timeout=30, check=False, env=os.environ
    )
    assert wrong.returncode == 0, "without a seed one is drawn"
    unknown = subprocess.run(
        [sys.executable, "-m", "orchestrator", "frobnicate"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (unknown.returncode, unknown.stdout) == (2, "")
