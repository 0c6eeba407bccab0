import os

import pytest
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.cli.words import MOST_CHARACTERS, sentence


def test_what_was_typed_is_one_line_that_can_be_stored():
    assert sentence("one\n two\r\n\tthree ", of="a note") == "one two three"
    assert sentence(os.fsdecode(b"bad\xff\x1b[31m"), of="a note") == "bad\ufffd\ufffd[31m"
    assert sentence("x" * MOST_CHARACTERS, of="a note") == "x" * MOST_CHARACTERS


@pytest.mark.parametrize("command", ["halt", "resume", "abort"])
def test_a_reason_that_is_a_document_is_refused_before_redis_is_asked(command):
    typed = ["--why", "x" * (MOST_CHARACTERS + 1), "--broker", "redis://127.0.0.1:9/0"]
    done = CliRunner().invoke(app, [command, *typed])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--why of 2,001 characters: at most 2,000 are kept" in done.stderr
