"""A plan tells what a campaign asks of people and of monitoring, and no secret of their addresses."""

from pathlib import Path

import pytest

from orchestrator.campaign.load import load_campaign
from orchestrator.preview.attended import attended_of, waits_for, watched_of

EXAMPLES = Path(__file__).parents[3] / "examples"
GAMEDAY = """\
gameday:
  window: {days: [tue], from: "09:30", to: "16:00", timezone: Europe/Berlin}
  blackout: [2026-12-24, 2026-12-31..2027-01-02]
  roles: {commander: cmd@example.com}
  approvals: {only: {by: commander, within: 15m}}
  announce: "https://ann:secret@hooks.example.com/services/T0/B0/verysecret"
  runbook: [Look, {name: fail-over, text: Move it, by: commander}]
"""


@pytest.fixture
def example():
    return lambda **sets: (
        load_campaign(
            EXAMPLES / "gameday.yaml", sets=tuple(f"{path}={value}" for path, value in sets.items())
        ).campaign
    )


def test_a_game_days_terms_are_told_without_the_webhooks_secret(campaign_of, load_activity):
    told = attended_of(campaign_of(("only", load_activity), top=GAMEDAY))
    assert told.window == "tue 09:30 to 16:00 Europe/Berlin"
    assert told.blackout == ("2026-12-24", "2026-12-31..2027-01-02")
    assert told.approvals == ("only by commander (cmd@example.com) within 15 min",)
    assert told.announce == "hooks.example.com"
    assert told.steps == ("step-1", "fail-over")


def test_a_campaign_that_is_no_game_day_asks_nothing_of_people(campaign_of, load_activity):
    assert attended_of(campaign_of(("only", load_activity))) is None


def test_the_alerts_gauges_and_silences_of_a_phase_are_told_with_who_is_asked(example):
    (watched,) = watched_of(example(**{"gameday.silence": '["ChatReplicaDown"]'}))
    assert watched.phase == "faults"
    assert watched.alerts == ("ChatReplicaDown", "FeatureStoreSlow")
    assert watched.gauges == ("chat vllm:num_requests_running",)
    assert watched.silences == ('alertname="ChatReplicaDown"',)
    assert watched.sources == ("prometheus.internal:9090", "alertmanager.internal:9093")


def test_at_the_table_no_phase_waits_for_an_approval(example):
    assert waits_for(example(), "faults") == "approval by commander within 15 min"
    assert waits_for(example(**{"gameday.tabletop": "true"}), "faults") == ""
