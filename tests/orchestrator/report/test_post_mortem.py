"""A game day's post-mortem: what was fast and slow, what it cost, what is to be done, how it once was."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.facts import State, fold_all
from orchestrator.report.build import build_report, validate_report
from orchestrator.report.fault_times import alarms, budget_of
from orchestrator.report.fault_times import held as held_of
from orchestrator.report.lessons import acted_beside, actions, badly, earlier, well
from orchestrator.report.post_mortem import post_mortem
from orchestrator.results.past import SHOWN, past_runs
from orchestrator.store.entries import Entry
from workers.contract import facts as f

CAMPAIGN = (Path(__file__).parent / "campaign.yaml").read_text()
GAMEDAY = """
gameday:
  window: {from: "09:00", to: "16:00", timezone: Europe/Berlin}
  roles: {commander: cmd@example.com}
  approvals: {peak: {by: commander, within: 15m}}
  runbook:
    - look at the dashboards
    - {name: fail-over, text: Move the traffic, command: "make fail-over # | now", by: commander}
"""
EVIL = "<script>alert(1)</script> | [x](http://evil) `code`"


def injected_s(outcome) -> float:
    return next(one.at_s for seen in outcome.state.faults.values() for one in seen if one.what == "injected")


@pytest.fixture(scope="module")
def held(outcome_of):
    """A game day on which people did what they should; the fault of `peak` is injected and felt."""

    def make(*facts, **given):
        outcome = outcome_of(text=CAMPAIGN + GAMEDAY, **given)
        entries = tuple(Entry(f"{round(one.at_s * 1000)}-0", one) for one in facts)
        journal = tuple(sorted((*outcome.journal, *entries), key=lambda one: one.fact.at_s))
        return replace(outcome, state=fold_all(outcome.state, facts), journal=journal)

    return make


@pytest.fixture(scope="module")
def people(held):
    """What people said, around the fault."""
    at_s = injected_s(held())
    return (
        f.ApprovalAsked(phase="peak", role="commander", address="cmd@example.com", at_s=at_s - 60),
        f.Approved(phase="peak", by="jo", role="commander", key="commander (1a2b3c4d)", at_s=at_s - 50),
        f.Observed(by="ada", text="the chat hangs", at_s=at_s - 5),
        f.Observed(by="ada", text="the chat hangs", at_s=at_s + 1.5),
        f.StepDone(step="fail-over", by="jo", text="moved", at_s=at_s + 1.8),
    )


@pytest.fixture(scope="module")
def report(held, people):
    found = build_report(held(*people))
    validate_report(found)
    return found


def test_a_campaign_that_is_no_game_day_has_no_post_mortem(passed):
    report = build_report(passed)
    assert "gameday" not in report
    assert post_mortem(report) == {}


def test_a_fault_is_timed_from_its_injection_by_who_noticed_and_who_acted_first(report):
    (fault,) = report["gameday"]["faults"]
    assert fault["ttd_s"] == pytest.approx(1.5, abs=1e-3)
    assert fault["detected_by"] == "ada"
    assert fault["ttm_s"] == pytest.approx(1.8, abs=1e-3)
    assert fault["mitigated_by"] == "fail-over by jo"
    assert fault["felt_s"] is not None
    assert 2.0 < fault["ttr_s"] < 10.0
    assert (fault["class"], fault["held"], fault["recovered"]) == ("process", True, True)


def test_the_budget_is_what_the_failed_requests_amount_to_against_the_objective(report):
    budget = report["gameday"]["budget"]
    assert budget["slo"] == "success_rate >= 95%"
    assert budget["allowed_min_30d"] == pytest.approx(0.05 * 30 * 24 * 60)
    assert 0 < budget["burned_min"] < 4 / 60, "some of two seconds"


def test_who_approved_and_which_steps_were_done_is_told(report):
    day = report["gameday"]
    (approval,) = day["approvals"]
    assert (approval["state"], approval["by"], approval["key"]) == ("approved", "jo", "commander (1a2b3c4d)")
    assert [(one["step"], one["by"]) for one in day["runbook"]] == [("step-1", ""), ("fail-over", "jo")]
    assert "Runbook: step-1 was not done; do it next time, or take it out" in day["actions"]


def test_a_fault_that_nobody_noticed_is_an_action_item(held):
    day = build_report(held())["gameday"]
    assert day["faults"][0]["ttd_s"] is None
    assert any("server-hang expect an alert: none was watched" in one for one in day["actions"])
    assert any("nobody said so; no alert was watched" in one for one in day["badly"])
    assert not any("nobody noticed" in one for one in day["actions"]), "which nobody can know"


def test_an_alert_that_was_watched_and_silent_is_named(held):
    report = build_report(held())
    quiet = {"alert": "ChatDown", "already": False, "fired_s": None}
    faults = [one | {"alerts": [quiet]} for one in report["faults"]]
    said = list(actions(report["gameday"], report | {"faults": faults}))
    assert any("nobody noticed it, ChatDown did not fire" in one for one in said)


def test_an_alert_that_fires_for_each_of_two_faults_detects_both(held):
    at_s = injected_s(held())
    seen = [
        f.AlertSeen(
            attempt="watch:0:1", alert="ChatSlow", source=source, state="firing", fired_s=fired_s + late_s,
            at_s=fired_s + 1, silenced=silenced,
        )
        for fired_s, silenced in ((at_s - 9, ()), (at_s + 1.0, ()), (at_s + 60.0, ("quiet",)))
        for source, late_s in (("prometheus", 0.0), ("alertmanager", 0.3))
    ]  # fmt: skip
    assert [round(one.at_s - at_s, 3) for one in alarms(seen)] == [-9.0, 1.0], "the last was silenced"
    (fault,) = build_report(held(*seen))["gameday"]["faults"]
    assert (fault["ttd_s"], fault["detected_by"]) == (pytest.approx(1.0, abs=1e-3), "alert ChatSlow")


def test_an_alert_that_somebody_silenced_once_it_had_told_is_what_detected_it(held):
    given = {"attempt": "watch:0:1", "alert": "ChatSlow", "source": "alertmanager", "state": "firing"}
    first = f.AlertSeen(**given, fired_s=10.0, at_s=10.5)
    assert [
        one.at_s for one in alarms([first, f.AlertSeen(**given, fired_s=10.0, at_s=20.0, silenced=("a",))])
    ] == [10]


def test_a_fault_that_recovered_with_nothing_said_of_it_held_and_one_that_nothing_felt_shows_nothing(report):
    fault = {"activity": "server-hang", "took_effect": True, "recovered": True}
    bare = {"slos": [], "activities": {"server-hang": {"verdict": "pass"}}}
    assert held_of(fault, bare) is True
    assert held_of(fault | {"recovered": None}, bare) is None
    assert held_of(fault | {"recovered": False}, bare) is False


def test_faults_that_acted_together_are_named_together(held):
    report = build_report(held())
    (mine,) = [one for one in report["faults"] if one["injected"] is not None]
    twin = mine | {"name": "twin", "activity": "twin", "injected": mine["injected"] + 1}
    later = mine | {"name": "later", "activity": "later", "injected": mine["injected"] + 90, "reverted": None}
    both = report | {"faults": [mine, twin, later]}
    assert acted_beside(mine, both) == ["twin"]
    assert "beside twin" in post_mortem(both)["post-mortem.md"]
    kill = mine | {"one_shot": True, "reverted": None, "recovery_s": None}
    assert acted_beside(kill, report | {"faults": [kill, twin, later]}) == []


def test_faults_of_one_name_are_compared_in_their_order(report):
    now = [{"name": "mix", "fault": kind} for kind in ("pause-process", "disk-fill", "pause-process")]
    then = [{"name": "mix", "fault": "pause-process", "ttr_s": 1.0}, {"name": "other", "fault": "disk-fill"}]
    assert earlier({"faults": now, "history": [{"faults": then}]}) == [then[0], None, None]
    assert earlier({"faults": now, "history": []}) == [None, None, None]


def test_an_alert_that_fires_before_anybody_speaks_is_what_detected_it(held, people):
    at_s = injected_s(held())
    alert = f.AlertSeen(
        attempt="watch:0:1", alert="ChatSlow", source="prometheus", state="firing", fired_s=at_s + 1.2,
        at_s=at_s + 3.0,
    )  # fmt: skip
    old = f.AlertSeen(attempt="watch:0:1", alert="Old", source="prometheus", state="firing", at_s=at_s - 9.0)
    report = build_report(held(*people, old, alert))
    (fault,) = report["gameday"]["faults"]
    assert (fault["detected_by"], fault["ttd_s"]) == ("alert ChatSlow", pytest.approx(1.2, abs=1e-3))
    assert fault["noticed_s"] == pytest.approx(1.5, abs=1e-3)
    assert "alert ChatSlow fires, says prometheus" in [one["text"] for one in report["timeline"]]


def test_claims_that_failed_and_phases_that_were_skipped_are_told_and_to_be_done(held):
    report = build_report(held(slow_s=0.3))
    day = report["gameday"]
    failed = [one["slo"] for one in report["slos"] if one["verdict"] == "fail"]
    assert failed
    assert all(any(slo in one for one in day["badly"]) for slo in failed)
    assert all(any(slo in one for one in day["actions"]) for slo in failed)


def test_the_score_is_by_class_with_what_was_not_tried(report):
    found = report["resilience"]
    process = next(one for one in found["classes"] if one["class"] == "process")
    assert process == {"class": "process", "held": 1, "tried": 1, "planned": 1}
    assert found["coverage"]["classes_tried"] == 1
    assert found["coverage"]["classes_known"] == len(found["classes"]) > 0
    assert found["coverage"]["faults_tried"] == found["coverage"]["faults_planned"] == 1


def test_the_timeline_holds_people_faults_and_phases_in_the_order_of_time(report):
    rows = report["timeline"]
    assert [one["at"] for one in rows] == sorted(one["at"] for one in rows)
    texts = [one["text"] for one in rows]
    assert "jo (key commander (1a2b3c4d)) approved phase peak as commander" in texts
    assert "ada saw: the chat hangs" in texts
    assert "jo did fail-over of the runbook: moved" in texts
    assert any(one["tone"] == "fault" and "server-hang injected" in one["text"] for one in rows)


def test_breaches_of_objectives_stand_on_the_timeline_with_their_numbers(held):
    report = build_report(held())
    load_s = next(one["injected"] for one in report["faults"])
    told = [one for one in report["timeline"] if "tpot < 50ms) >= 85% on peak-load" in one["text"]]
    began, ended = told
    assert (began["tone"], ended["tone"]) == ("bad", "good")
    assert "requests were short of a limit; at most 15% may be" in began["text"]
    assert "holds again for what is due from here on" in ended["text"]
    assert load_s == pytest.approx(began["at"], abs=1e-3)
    assert began["at"] + 2 < ended["at"] < began["at"] + 10


def test_a_second_that_two_faults_spoiled_is_burned_once(held):
    outcome = held()
    alone = budget_of(outcome)
    twice = replace(
        outcome,
        phases=tuple(
            replace(one, faults=(*one.faults, *(replace(two, activity="twin") for two in one.faults)))
            for one in outcome.phases
        ),
    )
    both = budget_of(twice)
    assert both.whole_min == pytest.approx(alone.whole_min)
    assert alone.whole_min > 0
    assert sum(both.burned_min.values()) == pytest.approx(2 * alone.whole_min)


def test_a_game_day_is_compared_with_the_last_of_its_name_at_the_runs_url(held, people, tmp_path):
    before = build_report(held())
    for number in range(SHOWN + 2):
        id_ = f"checkout-launch-2026110{number + 1}-100000-abcd"
        before["campaign"]["id"] = id_
        before["gameday"]["faults"][0] |= {"ttr_s": 60.0, "ttd_s": 30.0}
        (tmp_path / id_).mkdir()
        (tmp_path / id_ / "report.json").write_text(json.dumps(before))
    for id_ in ("checkout-launch-other-20261109-100000-abcd", "checkout-launch-20261109-100000-abce"):
        (tmp_path / id_).mkdir()
    (tmp_path / "checkout-launch-20261108-100000-abcd").mkdir()
    (tmp_path / "checkout-launch-20261108-100000-abcd" / "report.json").write_text("{}")
    past = past_runs(str(tmp_path), name="checkout-launch", but="checkout-launch-20261107-100000-abcd")
    assert [one["id"][16:24] for one in past] == ["20261102", "20261103", "20261104", "20261105", "20261106"]
    report = build_report(replace(held(*people), history=past))
    validate_report(report)
    assert [one["id"] for one in report["resilience"]["history"]] == [one["id"] for one in past]
    slower = [one for one in report["gameday"]["well"] if "last time" in one]
    assert any("recovered after" in one and "60.0 s last time" in one for one in slower)
    page = post_mortem(report)
    assert "checkout-launch-20261106-100000-abcd" in page["post-mortem.html"]
    assert "(last 60.0 s)" in page["post-mortem.md"]


def test_what_took_longer_than_last_time_went_badly_and_not_well(report):
    (now,) = report["gameday"]["faults"]
    day = report["gameday"] | {"history": [{"faults": [now | {"ttr_s": 1.0}]}]}
    slow = day | {"faults": [now | {"ttr_s": 30.0}]}
    said = "server-hang took longer than last time: recovered after 30.0 s, 1.00 s last time"
    assert any(said in one for one in actions(slow, report))
    assert any("recovered after 30.0 s, 1.00 s last time" in one for one in badly(slow, report))
    assert not any("the traffic was back" in one for one in well(slow, report))


def test_no_earlier_game_day_and_no_folder_at_all_is_no_error(tmp_path):
    assert past_runs(str(tmp_path / "nowhere"), name="x", but="") == ()


def test_both_forms_tell_the_same_story(report):
    files = post_mortem(report)
    assert set(files) == {"post-mortem.md", "post-mortem.html"}
    for words in ("What went well", "What went badly", "Action items", "fail-over", "TTD", "1 of 1 held"):
        assert all(words in text for text in files.values()), words
    assert "- [ ] " in files["post-mortem.md"]
    assert "make fail-over # \\| now" in files["post-mortem.md"]


def test_what_people_wrote_stays_text_in_both_forms(held):
    at_s = injected_s(held())
    said = (
        f.Observed(by=EVIL, text=EVIL, at_s=at_s + 1),
        f.StepDone(step="step-1", by="jo", text=EVIL, at_s=at_s + 1),
    )
    files = post_mortem(build_report(held(*said)))
    assert "<script>alert" not in files["post-mortem.html"]
    assert re.search(r"(?<!\\)<script", files["post-mortem.md"]) is None
    assert "[x](http://evil)" not in files["post-mortem.md"]
    assert "script-src" in files["post-mortem.html"]


def test_a_game_day_that_nobody_let_begin_says_so_and_what_to_do(outcome_of):
    outcome = outcome_of(text=CAMPAIGN + GAMEDAY)
    said = (
        f.ApprovalAsked(phase="peak", role="commander", address="cmd@example.com", at_s=outcome.started_s),
        f.GateReached(phase="peak", until_s=outcome.started_s + 9, at_s=outcome.started_s),
        f.Aborting(by="shakeout", why="nobody approved it", verdict="aborted", at_s=outcome.started_s + 10),
    )
    verdict = replace(outcome.verdict, verdict="invalid", reasons=("nobody approved it",))
    begun = f.Submitted(campaign="c", text=CAMPAIGN, at_s=outcome.started_s)
    late = replace(outcome, state=fold_all(State(), (begun, *said)), phases=(), journal=(), verdict=verdict)
    report = build_report(late)
    day = report["gameday"]
    assert [one["state"] for one in day["approvals"]] == ["late"]
    assert day["not_run"][0]["name"] == "server-hang"
    assert "Make sure that commander (cmd@example.com) can approve phase peak in time" in day["actions"]
    assert not [one for one in day["actions"] if one.startswith("Runbook")], "there was nothing to do it for"
    assert "It was stopped before anything could be claimed." in post_mortem(report)["post-mortem.md"]


def test_a_rehearsal_has_a_post_mortem_without_a_score(outcome_of):
    outcome = outcome_of(text=CAMPAIGN + GAMEDAY + "  tabletop: true\n")
    posed = f.Posed(activity="server-hang", text="pause-process for 2 s on chat", at_s=outcome.started_s + 9)
    outcome = replace(outcome, state=fold_all(outcome.state, (posed,)), phases=())
    report = build_report(outcome)
    validate_report(report)
    files = post_mortem(report)
    assert report["gameday"]["not_run"] == []
    assert "A rehearsal at the table" in files["post-mortem.md"]
    assert "pause-process for 2 s on chat" in files["post-mortem.html"]
    assert "Resilience" not in files["post-mortem.html"] + files["post-mortem.md"]
    assert "**REHEARSED**" in files["post-mortem.md"]
