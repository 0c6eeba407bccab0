"""A campaign in a line, and the red button as it is shown."""

from pathlib import Path

import msgspec
import pytest

from orchestrator.cli.abort import AbortTold
from orchestrator.cli.red_button import ButtonTold
from orchestrator.coordinator.cards import CoordinatorCard, Coordinators
from orchestrator.live.view import LiveActivity, LiveSlo, LiveView
from orchestrator.overview.pictures import (
    CampaignLine,
    CampaignPicture,
    FleetPicture,
    HaltLine,
    PhaseLine,
    Remark,
    halt_line,
    line_of,
)
from orchestrator.overview.roster import Worker
from orchestrator.overview.summary import LostAttempt, summarise
from workers.contract import facts as f
from workers.contract.facts import Gpu
from workers.contract.signed.halts import Press, encode_press, sign_press
from workers.contract.signed.signing import read_keys

MINE, THEIRS = read_keys("mine=" + "a" * 32), read_keys("theirs=" + "b" * 32)
NOW_S = 200.0
RUNNING = (
    f.Submitted(campaign="c-1", text="", by="ada", at_s=100.0),
    f.PhaseOpened(phase="peak"),
    f.PhaseStarted(phase="peak", start_s=110.0),
)


def summary(*facts):
    return summarise("c-1", ((0.0, fact) for fact in facts))


def activity(key, kind="load", **given):
    keys = {
        "state": "running", "share": 0.5, "shards": 1, "sent": 10, "ok": 9, "failed": 1, "rate_per_s": 40.0,
        "p50_s": 0.01, "p99_s": 0.02,
    }  # fmt: skip
    return LiveActivity(key=key, kind=kind, **(keys | given))


def view(*activities, phase="peak"):
    return LiveView(
        campaign="c-1", at_s=NOW_S, phase=phase, phase_number=2, phases=3, elapsed_s=5.0,
        activities=activities, verdicts={},
    )  # fmt: skip


def line(view_, *facts, finished=False, ended_s=None):
    return line_of(summary(*facts), view_, finished=finished, ended_s=ended_s, now_s=NOW_S)


def test_a_running_campaign_shows_its_phase_rate_slowest_p99_and_its_least_share():
    shown = line(view(activity("a"), activity("b", share=0.25, p99_s=0.5), activity("x", "chaos")), *RUNNING)
    assert (shown.state, shown.phase, shown.phase_number, shown.phases) == ("running", "peak", 2, 3)
    assert (shown.share, shown.rate_per_s, shown.p99_s, shown.failed) == (0.25, 80.0, 0.5, 2)
    assert (shown.took_s, shown.verdict) == (100.0, "")


def test_nothing_is_made_up_where_nothing_was_measured():
    for seen in (None, view(), view(activity("x", "chaos")), view(activity("a"), phase="another")):
        shown = line(seen, *RUNNING)
        assert (shown.share, shown.rate_per_s, shown.p99_s, shown.failed) == (None, None, None, None)
    assert line(view(activity("a", p99_s=None)), *RUNNING).p99_s is None


def test_a_campaign_that_is_over_shows_its_verdict_and_how_long_it_took():
    shown = line(view(activity("a")), *RUNNING, f.Ended(verdict="fail", at_s=130.0), finished=True)
    assert (shown.state, shown.verdict, shown.took_s, shown.ended_s) == ("over", "fail", 30.0, 130.0)
    assert shown.rate_per_s is None


def test_a_campaign_whose_journal_has_expired_is_known_to_have_ended_and_no_more():
    shown = line(None, finished=True, ended_s=150.0)
    assert (shown.state, shown.verdict, shown.ended_s, shown.took_s) == ("over", "unknown", 150.0, 0.0)


def test_what_a_campaign_waits_for_or_is_stopped_by_is_its_note():
    placed = f.Placed(
        attempt="a:0:1", phase="peak", activity="a", shard=0, of=1, number=1, worker="w", incarnation="i"
    )
    waiting = (RUNNING[0], RUNNING[1], placed, f.NotReady(attempt="a:0:1", why="nobody answers"))
    assert line(None, *waiting).note == "nobody answers"
    assert line(None, *RUNNING, f.Aborting(by="eve", why="enough", verdict="aborted")).note == "enough"
    full = msgspec.structs.replace(view(activity("a")), waits=("a: 2 shards need 2 slots",))
    assert line(full, *RUNNING).note == "a: 2 shards need 2 slots"


def test_a_rate_of_which_nobody_has_said_anything_for_long_is_not_shown_as_if_it_were_now():
    old = msgspec.structs.replace(view(activity("a")), at_s=NOW_S - 30)
    shown = line(old, *RUNNING)
    assert (shown.state, shown.rate_per_s, shown.p99_s) == ("running", None, None)
    assert shown.note == "no coordinator has said anything of it for 30 s"


def pressed(**presses):
    """What stands in Redis: button -> (keys, moment)."""
    return {
        button.encode(): encode_press(sign_press(Press("eve", "smoke", at_s), purpose=button, keys=keys))
        for button, (keys, at_s) in presses.items()
    }


def test_a_halt_that_our_keys_vouch_for_is_shown_without_doubt():
    shown = halt_line(pressed(halt=(MINE, 150.0)), keys=MINE, now_s=NOW_S)
    assert (shown.by, shown.why, shown.at_s, shown.doubt) == ("eve", "smoke", 150.0, "")


def test_a_halt_by_a_key_that_is_not_ours_is_shown_with_a_doubt():
    shown = halt_line(pressed(halt=(THEIRS, 150.0)), keys=MINE, now_s=NOW_S)
    assert shown.by == "eve"
    assert "foreign key" in shown.doubt


@pytest.mark.parametrize("keys", [MINE, read_keys("")])
def test_no_halt_is_shown_where_none_was_or_a_resume_is_newer(keys):
    assert halt_line({}, keys=keys, now_s=NOW_S) is None
    assert halt_line(pressed(halt=(MINE, 150.0), resume=(MINE, 160.0)), keys=keys, now_s=NOW_S) is None


def test_a_forged_resume_does_not_hide_a_halt():
    found = pressed(halt=(MINE, 150.0), resume=(THEIRS, 160.0))
    assert halt_line(found, keys=MINE, now_s=NOW_S).doubt == ""


def test_the_line_is_json_with_its_names_as_keys():
    told = msgspec.json.decode(msgspec.json.encode(line(None, *RUNNING)))
    assert {"id", "state", "verdict", "submitted_s", "labels", "share", "aborted_by"} <= told.keys()


@pytest.mark.parametrize(
    "shape",
    [
        FleetPicture, Coordinators, CoordinatorCard, HaltLine, CampaignLine, CampaignPicture, PhaseLine,
        Remark, LostAttempt, LiveActivity, LiveSlo, Worker, Gpu, AbortTold, ButtonTold,
    ],
)  # fmt: skip
def test_the_guide_names_every_key_that_scripts_are_given(shape):
    guide = (Path(__file__).parents[3] / "docs" / "fleet.md").read_text()
    keys = {field.encode_name for field in msgspec.inspect.type_info(shape).fields}
    assert keys
    assert not [key for key in keys if f"`{key}`" not in guide]
