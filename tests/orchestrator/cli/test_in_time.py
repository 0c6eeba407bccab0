"""`run` of a game day out of its time: refused before anything starts, with why in the run's folder."""

from datetime import UTC, datetime, timedelta

from typer.testing import CliRunner

from orchestrator.cli import app

CAMPAIGN = """\
campaign: day
gameday:
  window: {{from: "00:00", to: "23:59", timezone: UTC}}
  blackout: [{first}..{last}]
targets:
  chat: {{protocol: openai-chat, model: m, url: "http://127.0.0.1:9"}}
phases:
  - name: only
    activities:
      - {{name: steady, kind: load, target: chat, duration: 5s, arrivals: {{process: constant, rate: 1/s}},
         data: {{synthetic: {{input_tokens: 1, output_tokens: 1}}}}}}
"""


def test_a_game_day_in_a_blackout_is_refused_with_2_and_recorded(tmp_path) -> None:
    today = datetime.now(UTC).date()
    file = tmp_path / "day.yaml"
    file.write_text(CAMPAIGN.format(first=today - timedelta(days=1), last=today + timedelta(days=1)))
    done = CliRunner().invoke(app, ["run", str(file), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "blackout" in done.stderr
    assert "blackout" in (tmp_path / "out" / "refused.txt").read_text()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["refused.txt"]
