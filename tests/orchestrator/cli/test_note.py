import pytest
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.cli.words import MOST_CHARACTERS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an empty note"),
        (" \n", "an empty note"),
        ("x" * (MOST_CHARACTERS + 1), "at most 2,000 are kept"),
    ],
)
def test_a_note_that_says_nothing_or_too_much_is_refused_before_redis_is_asked(text, words):
    done = CliRunner().invoke(app, ["note", "c-1", text, "--broker", "redis://127.0.0.1:9/0"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
