"""An operator at the fleet: status, list, workers, note, abort, halt and resume, on real parts with keys."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from orchestrator.cli import app, confirming
from workers.contract import facts as f
from workers.contract.broker import names

FOREIGN = secrets.token_hex(32)
ANSWER_S = 60.0
SHORT = """\
campaign: short
validity: {{lag_p99: 10s, start_skew: 10s}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}"}}
phases:
  - name: only
    activities:
      - name: short
        kind: load
        target: chat
        arrivals: {{process: constant, rate: 20/s}}
        duration: 1s
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
        slos: ["success_rate >= 50%"]
"""


@dataclass
class Desk:
    """Where an operator types: `here` in this process, `shakeout` as the real command."""

    fleet: object
    who: str = "ada"
    secret: str = ""

    def environment(self) -> dict[str, str]:
        secret = self.secret or self.fleet.keys.keys[0].secret
        return {
            "SHAKEOUT_BROKER": self.fleet.server.url, "SHAKEOUT_SIGNING_KEY": f"ada={secret}",
            "LOGNAME": self.who,
        }  # fmt: skip

    def here(self, *words: str):
        return CliRunner().invoke(app, words, env=self.environment(), catch_exceptions=False)

    def json(self, *words: str):
        done = self.here(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def shakeout(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *words], env={**os.environ, **self.environment()},
            capture_output=True, text=True, timeout=ANSWER_S, check=False,
        )  # fmt: skip


@pytest.fixture
def desk(signed_fleet) -> Desk:
    signed_fleet.ensure()
    return Desk(signed_fleet)


@pytest.fixture
def stranger(desk) -> Desk:
    """Somebody whose key nobody here knows."""
    return Desk(desk.fleet, who="eve", secret=FOREIGN)


@pytest.fixture
def impatient(monkeypatch) -> None:
    """Orders that nobody obeys are waited for less long."""
    monkeypatch.setattr(confirming, "CONFIRMED_WITHIN_S", 3.0)


@pytest.fixture
def running(desk, until):
    """A campaign that is under way for longer than any test here; it is gone afterwards."""
    campaign = desk.fleet.submit("running", duration="120s", rate="20/s", fence="3s")
    until(lambda: campaign.facts(f.PhaseStarted))
    until(lambda: desk.json("status", campaign.id)["activities"])
    yield campaign
    desk.here("abort", campaign.id)
    until(campaign.finished)


def test_the_fleet_at_a_glance_says_who_leads_what_is_free_and_what_runs(desk, running, until) -> None:
    shown = until(lambda: (told := desk.json("status"))["campaigns"][0]["rate_per_s"] and told)
    leader = desk.fleet.leader()
    card = shown["coordinators"]["leader"]
    assert (card["pid"], card["epoch"]) == (leader.popen.pid, shown["coordinators"]["epoch"])
    assert card["runs"] == str(desk.fleet.folder / "runs")
    assert (shown["slots"], shown["slots_free"], shown["halted"]) == (4, 2, None)
    (line,) = shown["campaigns"]
    assert (line["id"], line["state"], line["phase"]) == (running.id, "running", "only")
    assert line["key"].startswith("ada (")
    assert 0 < line["share"] < 1
    said = desk.shakeout("status")
    assert (said.returncode, said.stderr) == (0, "")
    assert (
        f"coordinator: {card['host']} (pid {card['pid']}), version {card['version']}, leads for"
        in said.stdout
    )
    assert "workers: 2 alive, 2 of 4 slots free\n" in said.stdout
    assert running.id in said.stdout


def test_a_standby_is_shown_until_it_is_gone(desk, until) -> None:
    desk.fleet.ensure(coordinators=2)
    leader = desk.fleet.leader()
    (standby,) = [one for one in desk.fleet.coordinators if one is not leader]
    shown = until(lambda: desk.json("status")["coordinators"]["standbys"])
    assert [card["pid"] for card in shown] == [standby.popen.pid]
    standby.signal(signal.SIGTERM)
    until(lambda: not desk.json("status")["coordinators"]["standbys"])


def test_one_campaign_is_shown_with_what_is_measured_and_what_is_noted(
    desk, running, stranger, until
) -> None:
    assert desk.shakeout("note", running.id, "deployed  build 12\n").returncode == 0
    stranger.here("note", running.id, "forged")
    until(lambda: desk.json("status", running.id)["refusals"])
    shown = desk.json("status", running.id)
    assert [(note["by"], note["text"]) for note in shown["notes"]] == [("ada", "deployed build 12")]
    (refusal,) = shown["refusals"]
    assert refusal["by"] == "eve"
    assert "foreign key" in refusal["text"]
    (activity,) = until(lambda: [one for one in desk.json("status", running.id)["activities"] if one["slos"]])
    assert (activity["key"], activity["state"]) == ("running", "running")
    said = desk.shakeout("status", running.id).stdout
    assert said.startswith(f"{running.id}: running, phase only (1 of 1), ")
    assert "by tests (key ada (" in said
    assert "UTC ada: deployed build 12\n" in said
    assert "success_rate >= 50%" in said


def is_timed(row) -> bool:
    """Whether a worker's clock is known, to within a second."""
    return abs(row["clock_offset_s"]) < 60 and row["clock_uncertainty_s"] < 1


def test_workers_show_what_they_are_and_one_that_was_killed_as_gone(desk, running, until) -> None:
    rows = desk.json("workers")
    assert [(row["state"], row["slots"], row["used"], row["troubles"]) for row in rows] == [
        ("alive", 2, 1, [])
    ] * 2
    until(lambda: all(is_timed(row) for row in desk.json("workers")))  # a look at the clock may take long
    name, process = next(iter(desk.fleet.workers.items()))
    process.kill()
    gone = until(lambda: [row for row in desk.json("workers") if row["state"] == "gone"])
    assert [row["worker"] for row in gone] == [name]
    said = desk.shakeout("workers")
    assert (said.returncode, said.stderr) == (0, "")
    assert re.search(rf"^{name} +gone for \d+ s ", said.stdout, re.MULTILINE)
    lost = until(lambda: desk.json("status", running.id)["attempts_lost"])
    assert [one["worker"] for one in lost] == [name]
    desk.fleet.store.client.hdel(names.WORKERS, name)


def test_an_abort_without_an_id_stops_the_only_campaign_and_is_told_of_afterwards(
    desk, running, until
) -> None:
    said = desk.shakeout("abort", "--why", "pager rings")
    assert (said.returncode, said.stderr) == (0, "")
    assert f"{running.id} is " in said.stdout
    assert "aborted by ada: pager rings" in said.stdout
    report = running.report()
    assert (report["exit_code"], report["campaign"]["aborted_by"]) == (5, "ada")
    again = desk.json("abort", running.id)
    assert (again["state"], again["verdict"], again["by"]) == ("over", "aborted", "ada")
    assert desk.here("abort").exit_code == 2, "none is left to be meant"
    shown = desk.json("status", running.id)
    assert (shown["campaign"]["state"], shown["campaign"]["verdict"]) == ("over", "aborted")
    assert "report.json" in shown["results"]
    assert shown["place"] == str(desk.fleet.folder / "runs" / running.id)
    late = desk.here("note", running.id, "too late")
    assert (late.exit_code, late.stdout) == (2, "")
    assert "has ended" in late.stderr


def test_an_abort_with_a_foreign_key_is_refused_with_the_reason_and_the_campaign_goes_on(
    running, stranger, desk
) -> None:
    refused = stranger.shakeout("abort", running.id)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "the coordinator refused the abort" in refused.stderr
    assert "foreign key" in refused.stderr
    assert desk.json("status", running.id)["campaign"]["state"] == "running"


def test_an_abort_while_nobody_leads_says_so_and_takes_effect_when_somebody_does(
    desk, running, until, impatient
) -> None:
    for coordinator in desk.fleet.coordinators:
        coordinator.kill()
    until(lambda: not desk.fleet.store.client.exists(names.LEADER))
    done = desk.here("abort", running.id)
    assert done.exit_code == confirming.EXIT_UNCONFIRMED
    assert "no coordinator leads: the abort takes effect when one does" in done.stderr
    assert "fall silent by themselves within 3 s" in done.stderr
    assert "nobody leads" in desk.here("status").stdout
    desk.fleet.ensure()
    until(running.finished)
    assert desk.json("list", "--limit", "1")[0]["aborted_by"] == "ada"


def test_the_red_button_stops_all_and_names_who_obeys_and_resume_ends_it(desk, running, until) -> None:
    pressed = desk.shakeout("halt", "--why", "smoke")
    assert (pressed.returncode, pressed.stderr) == (0, "")
    assert pressed.stdout == f"halted: {', '.join(sorted(desk.fleet.workers))}\n"
    again = desk.here("halt")
    assert again.stdout.startswith("halted already by ada ")
    shown = desk.json("status")
    assert (shown["halted"]["by"], shown["halted"]["why"], shown["slots_free"]) == ("ada", "smoke", 0)
    assert "halted: by ada " in desk.here("status").stdout
    assert {row["state"] for row in desk.json("workers")} == {"halted"}
    assert running.report()["campaign"]["aborted_by"] == "ada"
    ended = desk.shakeout("resume")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("ready again: ")
    assert (desk.here("resume").stdout, desk.json("status")["halted"]) == ("nothing is halted\n", None)


def test_a_halt_with_a_foreign_key_names_the_workers_that_do_not_obey(
    desk, stranger, until, impatient
) -> None:
    done = stranger.here("halt")
    assert done.exit_code == confirming.EXIT_UNCONFIRMED
    assert done.stdout == "halted: none yet\n"
    for name in desk.fleet.workers:
        assert name in done.stderr
    shown = desk.json("status")
    assert "foreign key" in shown["halted"]["doubt"]
    assert shown["slots_free"] == 4
    until(lambda: all(row["troubles"] for row in desk.json("workers")))
    words = "did not believe a task or order: a halt in Redis does not count: "
    assert all(row["troubles"][0].startswith(words) for row in desk.json("workers"))
    desk.fleet.store.client.delete(names.HALT)


def test_the_list_has_the_newest_first_and_only_those_with_the_labels(desk, until) -> None:
    load = SHORT.format(url=desk.fleet.url)
    first = desk.fleet.submit_text(load, "first", labels={"team": "chat", "for": "night"})
    second = desk.fleet.submit_text(load, "second", labels={"team": "chat"})
    until(first.finished)
    until(second.finished)
    ids = [line["id"] for line in desk.json("list", "--label", "team=chat")]
    assert ids == [second.id, first.id]
    (line,) = desk.json("list", "--label", "team=chat", "--label", "for=night")
    assert (line["id"], line["submitted_by"], line["labels"]) == (
        first.id,
        "tests",
        {"team": "chat", "for": "night"},
    )
    assert line["verdict"] in {"pass", "inconclusive"}
    assert len(desk.json("list", "--limit", "1")) == 1
    said = desk.shakeout("list", "--label", "for=night")
    assert (said.returncode, said.stderr) == (0, "")
    assert first.id in said.stdout
    assert "for=night team=chat" in said.stdout or "team=chat for=night" in said.stdout
    assert "no campaign with these labels" in desk.here("list", "--label", "team=none").stdout


def test_a_campaign_that_redis_has_forgotten_is_said_to_have_ended_and_where_it_was_kept(desk, until) -> None:
    store = desk.fleet.store
    store.client.zadd(names.FINISHED, {"old-one": store.now_s() - 90_000})
    said = desk.here("status", "old-one")
    assert said.exit_code == 0
    assert "old-one: unknown" in said.stdout
    assert "Redis kept its journal and results for 24 h and has forgotten them" in said.stdout
    assert str(desk.fleet.folder / "runs" / "old-one") in said.stdout
    assert "old-one" not in [line["id"] for line in desk.json("list", "--limit", "1000")]


def test_several_campaigns_must_be_told_apart(desk, running, until) -> None:
    other = desk.fleet.submit("other", duration="60s", rate="20/s", shards=1)
    done = desk.here("abort")
    assert done.exit_code == 2
    assert running.id in done.stderr
    assert other.id in done.stderr
    wrong = desk.here("status", other.id[:-1])
    assert wrong.exit_code == 2
    assert f"did you mean {other.id}?" in wrong.stderr
    assert desk.here("abort", other.id).exit_code == 0
    until(other.finished)
