from pathlib import Path

import pytest

from orchestrator.campaign.load import load_campaign
from orchestrator.errors import UsageError
from orchestrator.submit import refuse_unfinished
from orchestrator.unfinished import unfinished

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_quickstart_runs_whole():
    campaign = load_campaign(EXAMPLES / "quickstart.yaml").campaign
    assert unfinished(campaign) == ()
    refuse_unfinished(campaign, local=True)


def test_a_demo_target_is_started_by_run_alone():
    with pytest.raises(UsageError, match="only `run` starts a demo target"):
        refuse_unfinished(load_campaign(EXAMPLES / "quickstart.yaml").campaign, local=False)


@pytest.mark.parametrize("name", ["prelaunch", "gameday"])
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
        ("gameday", ["gameday", "faults/slow-network: fault tcp-proxy", "faults/clients-vanish: fault disc"]),
    ],
)
def test_kinds_that_do_not_work_yet_are_named_where_they_stand(name, named):
    listed = "\n".join(unfinished(load_campaign(EXAMPLES / f"{name}.yaml").campaign))
    assert [one for one in named if one not in listed] == []


@pytest.mark.parametrize(
    ("top", "more", "named"),
    [
        ("priority: 3\n", "", "priority"),
        ("protect: [db]\n", "", "protect"),
        ("comparison: {p99(latency): 10%}\n", "", "comparison"),
        ("", "      - {name: b, kind: batch, submit: {}, done: {}}\n", "p/b: kind batch"),
        ("", "        shadow: chat\n", "p/steady: shadow"),
    ],
)
def test_what_would_be_ignored_is_named(campaign_of, load_activity, top, more, named):
    assert named in unfinished(campaign_of(("p", load_activity + more), top=top))


def test_a_question_to_the_monitor_is_named(campaign_of, load_activity, chaos_activity):
    closed = load_activity.replace("{process: constant, rate: 20/s}", "{process: closed, users: 3, ramp: 5s}")
    chaos = chaos_activity.replace("recovery < 5s", "alert(Down) fires within 60s")
    monitor = "  alerts: {prometheus: http://127.0.0.1:9090}\n"
    campaign = campaign_of(("p", closed + chaos), more_targets=monitor)
    assert unfinished(campaign) == ("p/hang: expect alert(Down) fires within 60s",)
