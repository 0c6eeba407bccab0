"""When phases with faults may run: windows in a time zone, days that are blacked out, what is planned."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from orchestrator.campaign.load import load_campaign_text
from orchestrator.gameday.windows import closed, refusal, window_words
from orchestrator.plan import plan_of

BERLIN = ZoneInfo("Europe/Berlin")
CAMPAIGN = """\
campaign: day
gameday: {gameday}
targets:
  chat: {{protocol: openai-chat, model: m, url: "http://127.0.0.1:9"}}
phases:
  - name: calm
    activities:
      - {{name: before, kind: load, target: chat, duration: 1h, arrivals: {{process: constant, rate: 1/s}},
         data: {{synthetic: {{input_tokens: 1, output_tokens: 1}}}}}}
  - name: faults
    activities:
      - {{name: beside, kind: load, target: chat, duration: 30m, arrivals: {{process: constant, rate: 1/s}},
         data: {{synthetic: {{input_tokens: 1, output_tokens: 1}}}}}}
      - {{name: hang, kind: chaos, fault: noop, at: 10m, for: 1m, match: {{cmdline: x}}}}
"""
WINDOW = 'window: {days: [tue, wed], from: "09:30", to: "16:00", timezone: Europe/Berlin}'


def at(text: str) -> float:
    """A moment that a clock in Berlin shows."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


@pytest.fixture
def said():
    """Why a campaign with this game day is refused at a moment in Berlin."""

    def ask(moment: str, gameday: str = WINDOW) -> str:
        campaign = load_campaign_text(CAMPAIGN.format(gameday=f"{{{gameday}}}")).campaign
        return refusal(campaign.gameday, plan_of(campaign, seed=1), now_s=at(moment))

    return ask


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2026-11-24 10:00", ""),
        ("2026-11-24 08:30", ""),  # its faults begin an hour later
        ("2026-11-24 08:29", "outside the window"),
        ("2026-11-24 14:30", ""),  # as planned it ends at 16:00 sharp
        ("2026-11-24 14:31", "would end Tue 16:01"),
        ("2026-11-26 10:00", "Thu 2026-11-26 11:00 is outside the window"),
    ],
)
def test_each_phase_with_faults_begins_and_as_planned_ends_inside_the_window(said, moment, words) -> None:
    why = said(moment)
    assert words in why
    assert bool(words) == bool(why)


@pytest.mark.parametrize("moment", ["2026-03-24 10:00", "2026-03-31 10:00"])
def test_the_window_is_of_the_clock_on_the_wall_before_and_after_summer_time_begins(said, moment) -> None:
    assert said(moment) == ""
    early = moment.replace("10:00", "08:00")
    assert "outside the window" in said(early)


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2026-12-15 10:00", ""),
        ("2026-12-22 10:00", "2026-12-22 is in the blackout 2026-12-20..2026-12-30"),
        ("2026-12-30 10:00", "2026-12-30 is in the blackout"),  # the last day is one of it
        ("2027-01-05 10:00", ""),
        ("2027-01-06 10:00", "2027-01-06 is in the blackout 2027-01-06 (Europe/Berlin)"),
    ],
)
def test_nothing_runs_on_a_day_that_is_blacked_out_both_ends_included(said, moment, words) -> None:
    why = said(moment, f"{WINDOW}, blackout: [2026-12-20..2026-12-30, 2027-01-06]")
    assert words in why
    assert bool(words) == bool(why)


def test_a_blackout_begins_at_midnight_of_the_time_zone(said) -> None:
    night = WINDOW.replace("09:30", "00:00").replace("16:00", "23:59").replace("tue, wed", "mon, tue, wed")
    assert "blackout" not in said("2026-12-14 21:00", f"{night}, blackout: [2026-12-15]")
    assert "blackout" in said("2026-12-15 00:00", f"{night}, blackout: [2026-12-15]")


def test_a_phase_without_faults_may_begin_at_any_time() -> None:
    campaign = load_campaign_text(CAMPAIGN.format(gameday=f"{{{WINDOW}}}")).campaign
    calm, faults = plan_of(campaign, seed=1).phases
    assert closed(campaign.gameday, calm, at_s=at("2026-11-24 03:00")) == ""
    assert closed(campaign.gameday, faults, at_s=at("2026-11-24 03:00")).startswith("phase faults has faults")


def test_a_rehearsal_has_no_window_since_nothing_is_injected(said) -> None:
    assert said("2026-11-26 03:00", f"{WINDOW}, tabletop: true") == ""


def test_the_window_is_told_in_words() -> None:
    campaign = load_campaign_text(CAMPAIGN.format(gameday=f"{{{WINDOW}}}")).campaign
    assert window_words(campaign.gameday) == "tue, wed 09:30 to 16:00 Europe/Berlin"
