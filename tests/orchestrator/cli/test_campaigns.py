import pytest
from typer.testing import CliRunner

from orchestrator.cli import app


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--label", "team"], "say KEY=VALUE"), (["--limit", "0"], "--limit"), (["--limit", "many"], "--limit")],
)
def test_a_list_that_is_asked_for_wrongly_exits_2_and_says_so(words, said):
    done = CliRunner().invoke(app, ["list", "--broker", "redis://127.0.0.1:9/0", *words])
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
