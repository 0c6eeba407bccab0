import pytest
import typer

from orchestrator.cli.keeping import kept_for
from orchestrator.results.retention import Kept


def test_runs_are_kept_for_ever_unless_it_is_said_for_how_long():
    assert kept_for(runs="", results="24h") == Kept(None, 24 * 3600)
    assert kept_for(runs="90d", results="2h") == Kept(90 * 86400, 2 * 3600)


@pytest.mark.parametrize(
    ("runs", "results", "words"),
    [
        ("7d", "24h", "--keep-runs 7d: at least 31d"),
        ("ninety", "24h", "--keep-runs 'ninety'"),
        ("", "5m", "--keep-results 5m: at least 1h"),
        ("", "60d", "--keep-results 60d: at most 30d"),
    ],
)
def test_a_time_that_cannot_be_kept_is_told(capsys, runs, results, words):
    with pytest.raises(typer.Exit) as ended:
        kept_for(runs=runs, results=results)
    assert ended.value.exit_code == 2
    assert words in capsys.readouterr().err
