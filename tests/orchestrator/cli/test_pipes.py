"""What a command does when nobody reads its output any more."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def unread() -> Callable[..., int]:
    """Run `shakeout ...` with stdout and stderr in a pipe whose reader has gone; its exit code."""

    def run(*argv: str) -> int:
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "orchestrator", *argv]
        try:
            done = subprocess.run(command, stdout=writer, stderr=writer, cwd=ROOT, check=False, timeout=60)
        finally:
            os.close(writer)
        return done.returncode

    return run


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["schema"], 0),
        (["--help"], 0),
        (["validate", "examples/quickstart.yaml"], 0),
        (["validate", "--json", "examples/quickstart.yaml"], 0),
        (["plan", "examples/quickstart.yaml"], 0),
        (["validate", "README.md"], 2),
        (["run", "absent.yaml"], 2),
        (["no-such-command"], 2),
    ],
)
def test_a_reader_that_has_gone_does_not_change_the_exit_code(unread, argv, code):
    assert unread(*argv) == code


def test_a_command_without_any_stdout_ends_as_it_should():
    command = f"exec {sys.executable} -m orchestrator validate examples/quickstart.yaml >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=ROOT, check=False, timeout=60).returncode == 0
