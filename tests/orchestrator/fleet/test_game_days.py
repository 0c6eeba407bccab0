"""Game days for real: gates that wait for people's keys, schedules that fire, blackouts, breaches."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from zoneinfo import ZoneInfo

import psutil
import pytest

from orchestrator.gameday.schedules import Added, Changed, decode_outcome, encode_word, sign_word
from orchestrator.verdict import EXIT_CODES
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.signing import NO_KEYS, read_keys
from workers.contract.signed.trust import sign_fact

CAMPAIGN = """\
campaign: {name}
seed: 3
on_lost_coordinator: 10s
validity: {{lag_p99: 10s, start_skew: 10s}}
{top}
gameday:
  {window}
  roles: {{commander: cmd@example.com}}
  approvals: {{faults: {{by: commander, within: {within}}}}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 1s}}
phases:
  - name: calm
    activities:
      - {{name: before, kind: load, target: chat, shards: 1, duration: 1s, slos: ["success_rate >= 50%"],
         arrivals: {{process: constant, rate: 20/s}},
         data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}}}
  - name: faults
    activities:
      - {{name: {name}, kind: load, target: chat, shards: 1, duration: {duration},
         slos: ["success_rate >= 1%"], arrivals: {{process: constant, rate: 20/s}},
         data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}}}
      - {{name: hang, kind: chaos, fault: pause-process, at: 500ms, for: 1s, match: {{cmdline: {words}}},
         where: {{at_most: 1}}}}
"""
NOON = f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"
"""Where it is noon now: no test falls upon midnight."""
ALWAYS = f'window: {{from: "00:00", to: "23:59", timezone: {NOON}}}'


@pytest.fixture(scope="module")
def commander():
    """The key that speaks for the role of the campaigns here."""
    return f"commander={secrets.token_hex(32)}"


@pytest.fixture(scope="module")
def the_fleet_of_game_days(new_fleet, commander):
    own, ada = (f"{name}={secrets.token_hex(32)}" for name in ("ops", "ada"))
    fleet = new_fleet(SHAKEOUT_SIGNING_KEY=own, SHAKEOUT_SUBMITTER_KEYS=f"{ada},{commander}")
    fleet.keys = read_keys(ada)
    return fleet


@pytest.fixture
def fleet(the_fleet_of_game_days):
    the_fleet_of_game_days.ensure(workers=1)
    return the_fleet_of_game_days


def shakeout(fleet, *words: str, key: str = "") -> "subprocess.CompletedProcess[str]":
    """A command of a person with this key."""
    environment = {**os.environ, "SHAKEOUT_SIGNING_KEY": key, "SHAKEOUT_BROKER": fleet.server.url}
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        capture_output=True, text=True, timeout=60, check=False, cwd=fleet.folder, env=environment,
    )  # fmt: skip


def say(fleet, id_: str, word, *, keys) -> None:
    """A person's word, as their command would say it."""
    now_s = fleet.store.now_s()
    fleet.store.say(id_, id_=secrets.token_hex(4), fact=sign_fact(word, campaign=id_, keys=keys, now_s=now_s))


def text(fleet, name: str, victim, *, window: str = ALWAYS, **given: str) -> str:
    keys = {"top": "", "within": "60s", "duration": "3s"} | given
    return CAMPAIGN.format(name=name, url=fleet.url, words=victim[0], window=window, **keys)


def blackout_today() -> str:
    """A window that is always open, and a blackout of yesterday to tomorrow."""
    today = datetime.now(ZoneInfo(NOON)).date()
    return f"{ALWAYS}\n  blackout: [{today - timedelta(days=1)}..{today + timedelta(days=1)}]"


def outcomes(fleet, schedule: str) -> list:
    found = [decode_outcome(fields[b"a"]) for _, fields in fleet.store.client.xrange(names.SCHEDULE_LOG)]
    return [one for one in found if one.schedule == schedule]


def test_a_phase_waits_at_its_gate_until_the_role_that_must_has_approved_it(
    fleet, victim, until, commander
) -> None:
    deaf = f"{ALWAYS}\n  announce: http://127.0.0.1:9/nobody"
    campaign = fleet.submit_text(text(fleet, "gated", victim, window=deaf), "gated")
    gate = until(lambda: campaign.facts(f.GateReached))[0]
    assert gate.phase == "faults"
    asked = campaign.fact(f.ApprovalAsked)
    assert (asked.role, asked.address) == ("commander", "cmd@example.com")
    assert campaign.state().phases["calm"].ended_s is not None
    waits = until(lambda: json.loads(shakeout(fleet, "status", campaign.id, "--json").stdout)["campaign"])
    assert waits["state"] == "waiting"
    assert "approval of commander (cmd@example.com)" in waits["note"]
    wrong = shakeout(fleet, "approve", campaign.id, "faults", key=f"ada={fleet.keys.keys[0].secret}")
    assert wrong.returncode == 2
    assert "does not speak for commander" in wrong.stderr
    assert "faults" not in campaign.state().phases
    right = shakeout(fleet, "approve", campaign.id, "faults", "--as", "commander", key=commander)
    assert right.returncode == 0, right.stderr
    report = campaign.report()
    assert report["verdict"] == "pass"
    approved = next(one for one in campaign.facts(f.Approved))
    assert report["gameday"]["approvals"][0]["key"].startswith("commander (")
    assert approved.phase == "faults"
    assert "the start" in [one["what"] for one in report["gameday"]["unannounced"]]
    assert [one["what"] for one in report["refusals"]] == ["approval"]
    assert [one["took_effect"] for one in report["faults"]] == [True]


def test_a_phase_that_nobody_approves_in_time_aborts_the_campaign(fleet, victim) -> None:
    campaign = fleet.submit_text(text(fleet, "late", victim, within="1s"), "late")
    report = campaign.report()
    assert report["exit_code"] == EXIT_CODES["aborted"]
    assert "did not approve it within" in report["reasons"][0]
    assert victim[1].status() != psutil.STATUS_STOPPED
    assert campaign.facts(f.FaultSeen) == []


def test_who_denies_a_phase_aborts_the_campaign_and_says_why(fleet, victim, until, commander) -> None:
    campaign = fleet.submit_text(text(fleet, "denied", victim), "denied")
    until(lambda: campaign.facts(f.ApprovalAsked))
    denied = f.Denied(phase="faults", by="cmd", why="release day", at_s=fleet.store.now_s())
    say(fleet, campaign.id, denied, keys=read_keys(commander))
    report = campaign.report()
    assert report["exit_code"] == EXIT_CODES["aborted"]
    assert "release day" in report["reasons"][0]


def test_submit_of_a_game_day_out_of_its_time_is_refused_with_2_and_recorded(fleet, victim) -> None:
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    another = days[(datetime.now(ZoneInfo(NOON)).weekday() + 3) % 7]
    off = f'window: {{days: [{another}], from: "00:00", to: "23:59", timezone: {NOON}}}'
    file = fleet.folder / "closed.yaml"
    file.write_text(text(fleet, "closed", victim, window=off))
    key = f"ada={fleet.keys.keys[0].secret}"
    done = shakeout(fleet, "submit", str(file), key=key)
    assert done.returncode == 2, done.stderr
    assert "outside the window" in done.stderr
    id_ = done.stdout.strip()
    said = [entry.fact for entry in fleet.store.journal(id_)]
    assert [one.what for one in said if isinstance(one, f.Refused)] == ["submission"]
    audit = shakeout(fleet, "audit", id_, "--json", key=key)
    assert "refused" in [one["what"] for one in json.loads(audit.stdout)]


def added(fleet, name: str, campaign: str, *, keys=None, at_s: float | None = None) -> None:
    """A schedule of every minute, said as if a minute ago: one run of it is due now."""
    at_s = fleet.store.now_s() - 61 if at_s is None else at_s
    word = Added(
        name=name, cron="* * * * *", timezone="UTC", text=campaign, by="ada", at_s=at_s, seed=1
    )  # fmt: skip
    signed = sign_word(word, keys=keys or fleet.keys)
    fleet.store.client.xadd(names.SCHEDULES, {"s": encode_word(signed)})


def removed(fleet, name: str) -> None:
    word = Changed(name=name, to="removed", by="ada", at_s=fleet.store.now_s())
    fleet.store.client.xadd(names.SCHEDULES, {"s": encode_word(sign_word(word, keys=fleet.keys))})


def ids_of(fleet, name: str) -> list[str]:
    known = (
        *fleet.store.campaigns(),
        *(one.decode() for one in fleet.store.client.zrange(names.FINISHED, 0, -1)),
    )
    return [one for one in known if one.startswith(f"{name}-")]


def test_a_scheduled_game_day_fires_on_its_own_waits_for_approval_and_is_stopped_by_abort_if(
    fleet, victim, until, commander
) -> None:
    process = victim[1]
    breaks = 'abort_if: ["p50(latency) > 1us over 2s"]'
    added(fleet, "nightly", text(fleet, "nightly", victim, top=breaks, duration="30s"))
    until(lambda: [one for one in outcomes(fleet, "nightly") if one.what == "fired"])
    removed(fleet, "nightly")
    (id_,) = ids_of(fleet, "nightly")
    said = fleet.store.journal(id_)[0].fact
    assert (said.schedule, said.by, said.schedule_key) == ("nightly", "ada", str(fleet.keys.keys[0]))
    journal = lambda *kinds: [  # noqa: E731
        entry.fact for entry in fleet.store.journal(id_) if isinstance(entry.fact, kinds)
    ]
    until(lambda: journal(f.GateReached))
    approved = f.Approved(phase="faults", by="cmd", at_s=fleet.store.now_s())
    say(fleet, id_, approved, keys=read_keys(commander))
    until(lambda: fleet.store.is_finished(id_))
    assert journal(f.Aborting)[0].by == "abort_if"
    assert journal(f.Ended)[0].verdict == "fail"
    assert process.status() != psutil.STATUS_STOPPED
    assert {one.what for one in journal(f.FaultSeen)} >= {"injected", "reverted"}


def test_a_run_that_falls_into_a_blackout_is_refused_recorded_and_listed(fleet, victim, until) -> None:
    added(fleet, "shut", text(fleet, "shut", victim, window=blackout_today()))
    refused = until(lambda: [one for one in outcomes(fleet, "shut") if one.what == "refused"])[0]
    assert "blackout" in refused.why
    assert ids_of(fleet, "shut") == []
    key = f"ada={fleet.keys.keys[0].secret}"
    line = next(one for one in listed(fleet, key) if one["name"] == "shut")
    assert line["last"] == "refused"
    assert all("blackout" in one["why_not"] for one in line["next"])
    removed(fleet, "shut")


def test_a_leader_that_dies_between_the_moment_and_the_run_is_followed_by_one_that_fires_it_once(
    fleet, victim, until
) -> None:
    leader = fleet.leader()
    leader.signal(signal.SIGSTOP)  # it holds the lead, and looks at nothing
    added(fleet, "once", text(fleet, "once", victim, within="1s"))
    leader.kill()
    fleet.ensure(workers=1)
    until(lambda: [one for one in outcomes(fleet, "once") if one.what == "fired"])
    removed(fleet, "once")
    until(lambda: all(fleet.store.is_finished(one) for one in ids_of(fleet, "once")))
    fired = [one.campaign for one in outcomes(fleet, "once") if one.what == "fired"]
    assert len(fired) == len(set(fired))
    assert sorted(set(ids_of(fleet, "once"))) == sorted(fired)
    for id_ in fired:
        first = [entry.fact for entry in fleet.store.journal(id_)]
        assert [type(one) for one in first].count(f.Submitted) == 1


def test_a_schedule_that_nobody_trusted_has_signed_fires_nothing(fleet, victim, until) -> None:
    eve = read_keys(f"eve={secrets.token_hex(32)}")
    for name, keys in (("forged", eve), ("bare", NO_KEYS)):
        word = Added(
            name=name, cron="* * * * *", timezone="UTC", text=text(fleet, name, victim), by="eve",
            at_s=fleet.store.now_s() - 61,
        )  # fmt: skip
        entry = fleet.store.client.xadd(names.SCHEDULES, {"s": encode_word(sign_word(word, keys=keys))})
        all_said = lambda entry=entry: [  # noqa: E731
            one for one in outcomes(fleet, "?") if one.word == entry.decode()
        ]
        doubted = until(all_said)[0]
        assert doubted.what == "doubted"
        assert ids_of(fleet, name) == []


@pytest.fixture
def hook():
    """A webhook on this machine: its URL, and the texts that it was told."""
    told: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", told
    server.shutdown()
    server.server_close()


def test_people_see_do_and_reveal_and_the_post_mortem_and_the_webhook_tell_it(
    fleet, victim, until, commander, hook
) -> None:
    url, told = hook
    more = f"{ALWAYS}\n  announce: {url}\n  runbook: [look, {{name: act, command: make it so}}]"
    hidden = text(fleet, "people", victim, window=more, duration="90s").replace(
        "at: 500ms, for: 1s,", "at: 500ms, for: 80s, hidden: true,"
    )
    key = f"ada={fleet.keys.keys[0].secret}"
    campaign = fleet.submit_text(hidden, "people")
    until(lambda: campaign.facts(f.ApprovalAsked))
    approved = f.Approved(phase="faults", by="cmd", at_s=fleet.store.now_s())
    say(fleet, campaign.id, approved, keys=read_keys(commander))
    until(lambda: [one for one in campaign.facts(f.FaultSeen) if one.what == "injected"])
    shown = json.loads(shakeout(fleet, "status", campaign.id, "--json", key=key).stdout)
    assert [one["key"] for one in shown["activities"]] == ["people"], "nobody is shown the hidden fault"
    assert [one["step"] for one in shown["runbook"]] == ["step-1", "act"]
    assert not [one for one in told if "hang" in one]
    assert shakeout(fleet, "observe", campaign.id, "it hangs", key=key).returncode == 0
    assert shakeout(fleet, "reveal", campaign.id, "hang", key=key).returncode == 0
    wrong = shakeout(fleet, "done", campaign.id, "dance", key=key)
    assert wrong.returncode == 2
    assert "its steps are step-1, act" in wrong.stderr
    say(fleet, campaign.id, f.StepDone(step="act", by="ada", at_s=fleet.store.now_s()), keys=fleet.keys)
    say(fleet, campaign.id, f.AbortAsked(by="ada", at_s=fleet.store.now_s()), keys=fleet.keys)
    report = campaign.report()
    (fault,) = report["gameday"]["faults"]
    assert (fault["detected_by"], fault["hidden"]) == (campaign.facts(f.Observed)[0].by, True)
    assert (fault["mitigated_by"], fault["ttd_s"] is not None) == ("act by ada", True)
    folder = fleet.folder / "runs" / campaign.id
    assert "it hangs" in (folder / "post-mortem.md").read_text()
    assert (folder / "post-mortem.html").exists()
    until(lambda: any("has ended" in one for one in told))
    assert sum("needs your approval" in one for one in told) == 1
    assert sum("approved phase faults" in one for one in told) == 1
    assert any("fault hang reverted" in one for one in told), "it was revealed by then"


def test_a_rehearsal_sends_nothing_injects_nothing_and_is_written_up(fleet, victim) -> None:
    words = text(fleet, "table", victim, window=f"{ALWAYS}\n  tabletop: true", duration="2s")
    campaign = fleet.submit_text(words, "table")
    report = campaign.report()
    assert report["verdict"] == "pass"
    assert [one.activity for one in campaign.facts(f.Posed)] == ["hang"]
    assert campaign.facts(f.Placed, f.FaultSeen, f.ApprovalAsked) == []
    assert campaign.log() == []
    assert "pause-process" in (fleet.folder / "runs" / campaign.id / "post-mortem.md").read_text()


def test_a_schedule_is_added_paused_and_removed_by_commands(fleet, victim) -> None:
    key = f"ada={fleet.keys.keys[0].secret}"
    file = fleet.folder / "yearly.yaml"
    file.write_text(text(fleet, "yearly", victim, window=f"{ALWAYS}\n  blackout: [2000-01-01..2099-12-31]"))
    add = ("schedule", "add", str(file), "--timezone", "Europe/Berlin")
    wrong = shakeout(fleet, *add, "--cron", "0 25 1 1 *", key=key)
    assert wrong.returncode == 2
    assert "Bad hour" in wrong.stderr
    done = shakeout(fleet, *add, "--cron", "0 3 1 1 *", "--jitter", "10m", key=key)
    assert done.returncode == 0, done.stderr
    first, *runs = done.stdout.splitlines()
    assert (first, len(runs)) == ("scheduled: yearly", 3)
    assert all("Europe/Berlin" in run and "will be refused" in run and "blackout" in run for run in runs)
    foreign = shakeout(fleet, "schedule", "pause", "yearly", key=f"eve={secrets.token_hex(32)}")
    assert foreign.returncode == 2
    assert "foreign key" in foreign.stderr
    paused = shakeout(fleet, "schedule", "pause", "yearly", key=key)
    assert paused.returncode == 0, paused.stderr
    line = next(one for one in listed(fleet, key) if one["name"] == "yearly")
    assert (line["paused_by"] != "", line["next"], line["key"]) == (True, [], str(fleet.keys.keys[0]))
    assert shakeout(fleet, "schedule", "remove", "yearly", "--why", "over", key=key).returncode == 0
    gone = shakeout(fleet, "schedule", "remove", "yearly", key=key)
    assert gone.returncode == 2
    assert "there is no schedule 'yearly'" in gone.stderr


def listed(fleet, key: str) -> list:
    return json.loads(shakeout(fleet, "schedule", "list", "--json", key=key).stdout)


def test_while_one_game_day_goes_another_of_its_name_is_refused(fleet, victim, until, commander) -> None:
    campaign = fleet.submit_text(text(fleet, "twice", victim), "twice")
    until(lambda: campaign.facts(f.Accepted))
    again = fleet.submit_text(text(fleet, "twice", victim), "twice")
    assert again.fact(f.Ended).reasons == (f"the last run still goes: {campaign.id}",)
    denied = f.Denied(phase="faults", by="cmd", at_s=fleet.store.now_s())
    say(fleet, campaign.id, denied, keys=read_keys(commander))
    until(campaign.finished)
