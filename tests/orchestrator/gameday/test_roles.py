"""Whose key may say what on a game day."""

import pytest

from orchestrator.campaign.load import load_campaign_text
from orchestrator.gameday.roles import objection, speaks_for, step_names
from workers.contract import facts as f

CAMPAIGN = """\
campaign: day
gameday:
  roles: {commander: jo.doe@example.com, observer: 1a2b3c4d}
  approvals: {only: {by: commander}}
  runbook: [look at the dashboards, {name: fail-over, command: make fail-over, by: commander}]
targets:
  chat: {protocol: openai-chat, model: m, url: "http://127.0.0.1:9"}
phases:
  - name: only
    activities:
      - {name: steady, kind: load, target: chat, duration: 30m, arrivals: {process: constant, rate: 1/s},
         data: {synthetic: {input_tokens: 1, output_tokens: 1}}}
      - {name: hang, kind: chaos, fault: noop, at: 10m, for: 1m, match: {cmdline: x}, hidden: true}
"""


@pytest.fixture(scope="module")
def campaign():
    return load_campaign_text(CAMPAIGN).campaign


@pytest.mark.parametrize(
    ("key", "speaks"),
    [
        ("commander (00000000)", True),
        ("jo-doe (00000000)", True),
        ("jo (00000000)", False),
        ("observer (00000000)", False),
        ("commander", False),
        ("00000000", False),
    ],
)
def test_a_key_speaks_for_a_role_by_its_own_name_or_that_of_the_address(key, speaks) -> None:
    assert speaks_for("commander", "jo.doe@example.com", key) is speaks


def test_an_address_may_be_the_very_id_of_a_key() -> None:
    assert speaks_for("observer", "1a2b3c4d", "1a2b3c4d")
    assert speaks_for("observer", "1a2b3c4d", "whoever (1a2b3c4d)")
    assert not speaks_for("observer", "1a2b3c4d", "1a2b3c4e")
    assert not speaks_for("observer", "", "")


@pytest.mark.parametrize(
    ("word", "key", "words"),
    [
        (f.Approved(phase="only", by="jo"), "commander (00000000)", ""),
        (f.Denied(phase="only", by="jo", role="commander"), "jo-doe (00000000)", ""),
        (f.Approved(phase="only", by="jo"), "ada (00000000)", "does not speak for commander"),
        (
            f.Approved(phase="only", by="jo", role="observer"),
            "ada (00000000)",
            "by commander, not by observer",
        ),
        (f.Approved(phase="onyl", by="jo"), "commander (00000000)", "asked for: only"),
        (f.Approved(phase="only", by="jo"), "", ""),
        (f.StepDone(step="step-1", by="jo"), "ada (00000000)", ""),
        (f.StepDone(step="fail-over", by="jo"), "", ""),
        (f.StepDone(step="step-2", by="jo"), "", "its steps are step-1, fail-over"),
        (f.Revealed(activity="hang", by="jo"), "", ""),
        (f.Revealed(activity="steady", by="jo"), "", "hidden are hang"),
        (f.Noted(text="hello", by="jo"), "ada (00000000)", ""),
    ],
)
def test_a_word_that_cannot_count_is_refused_with_why(campaign, word, key, words) -> None:
    why = objection(word, campaign, key=key, alone=False)
    assert words in why
    assert bool(words) == bool(why)


def test_the_only_key_of_a_run_on_ones_own_machine_speaks_for_all_roles(campaign) -> None:
    word = f.Approved(phase="only", by="jo")
    assert objection(word, campaign, key="run (00000000)", alone=True) == ""


def test_steps_without_a_name_are_counted(campaign) -> None:
    assert step_names(campaign.gameday) == ("step-1", "fail-over")
