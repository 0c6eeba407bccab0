from pathlib import Path

import pytest

from orchestrator.campaign.load import load_campaign
from orchestrator.errors import UsageError
from orchestrator.preview.unfinished import unfinished
from orchestrator.submit.submit import refuse_unfinished

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_quickstart_runs_whole():
    campaign = load_campaign(EXAMPLES / "quickstart.yaml").campaign
    assert unfinished(campaign) == ()
    refuse_unfinished(campaign, local=True)


def test_a_demo_target_is_started_by_run_alone():
    with pytest.raises(UsageError, match="only `run` starts a demo target"):
        refuse_unfinished(load_campaign(EXAMPLES / "quickstart.yaml").campaign, local=False)


@pytest.mark.parametrize("name", ["prelaunch"])
def test_run_refuses_by_the_list_that_plan_prints(name):
    campaign = load_campaign(EXAMPLES / f"{name}.yaml").campaign
    with pytest.raises(UsageError) as refused:
        refuse_unfinished(campaign, local=True)
    assert all(one in str(refused.value) for one in unfinished(campaign))


@pytest.mark.parametrize(
    ("name", "named"),
    [
        (
            "prelaunch",
            ["contract/bad-input: mutate", "knee/knee: kind search"],
        ),
    ],
)
def test_kinds_that_do_not_work_yet_are_named_where_they_stand(name, named):
    listed = "\n".join(unfinished(load_campaign(EXAMPLES / f"{name}.yaml").campaign))
    assert [one for one in named if one not in listed] == []


@pytest.mark.parametrize(
    ("top", "more", "named"),
    [
        ("comparison: {p99(latency): 10%}\n", "", "comparison"),
        ("", "      - {name: b, kind: batch, submit: {}, done: {}}\n", "p/b: kind batch"),
        ("", "        shadow: chat\n", "p/steady: shadow"),
    ],
)
def test_what_would_be_ignored_is_named(campaign_of, load_activity, top, more, named):
    assert named in unfinished(campaign_of(("p", load_activity + more), top=top))


def test_a_game_day_and_its_questions_to_a_monitor_run_whole():
    assert unfinished(load_campaign(EXAMPLES / "gameday.yaml").campaign) == ()
