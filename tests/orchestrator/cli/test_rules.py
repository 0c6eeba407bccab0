"""`rules`: a rule file against a run's folder, by the real promtool."""

import io
import json
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.rules.series import COLUMNS

RULES = """\
groups:
  - name: g
    rules:
      - alert: Errors
        expr: 'sum(rate(shakeout_requests_total{outcome!="ok"}[10s])) > 1'
      - alert: Quiet
        expr: 'sum(rate(shakeout_requests_total[10s])) > 1000'
"""


@pytest.fixture
def run_folder(tmp_path):
    """A run of 60 s in which half of the requests fail between 20 and 40 s; the rule file beside it."""
    rows = [
        {
            "phase": "p", "activity": "peak", "group": "judged", "second": second, "start_s": 1000.0 + second,
            "outcomes": "http_503=5 ok=5" if 20 <= second < 40 else "ok=10", "ok": 10, "completions": 10,
            "in_flight": 1, "latency_p50_s": 0.05, "latency_p90_s": 0.05, "latency_p99_s": 0.05,
            "latency_max_s": 0.05, "latency_mean_s": 0.05,
        }
        for second in range(60)
    ]  # fmt: skip
    body = io.BytesIO()
    pd.DataFrame(rows, columns=list(COLUMNS)).to_parquet(body, index=False)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "intervals.parquet").write_bytes(body.getvalue())
    (tmp_path / "rules.yml").write_text(RULES)
    return tmp_path


def rules(*arguments):
    return CliRunner().invoke(app, ["rules", *map(str, arguments)], catch_exceptions=False)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian's package prometheus)")
def test_what_would_have_fired_is_told_and_can_be_asked_for(run_folder):
    each = ("--scrape-every", "1s", "--evaluate-every", "2s")
    done = rules(run_folder / "rules.yml", run_folder / "run", "--json", *each)
    assert done.exit_code == 0, done.output
    (spell,) = json.loads(done.stdout)["spells"]
    assert spell["alert"] == "Errors"
    assert 20 <= spell["fired_s"] <= 26
    assert 40 <= spell["to_s"] <= 54
    table = rules(run_folder / "rules.yml", run_folder / "run", "--must-fire", "Errors", *each)
    assert (table.exit_code, "Errors" in table.stdout) == (0, True)
    missed = rules(run_folder / "rules.yml", run_folder / "run", "--must-fire", "Quiet", *each)
    assert (missed.exit_code, "did not fire: Quiet" in missed.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("none.yml", "run"), "none.yml: no such file"),
        (("rules.yml", "."), "has no intervals.parquet"),
        (("rules.yml", "run", "--scrape-every", "5"), "--scrape-every '5'"),
    ],
)
def test_what_cannot_be_replayed_says_why(run_folder, monkeypatch, arguments, why):
    monkeypatch.chdir(run_folder)
    done = rules(*arguments)
    assert (done.exit_code, why in done.stderr) == (2, True), done.output
