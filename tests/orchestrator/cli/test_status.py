"""What `status` says of a fleet, and how all commands of an operator answer where there is no fleet."""

import io

import pytest
from rich.console import Console
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.cli.status import _show_fleet, halted_words
from orchestrator.coordinator.cards import CoordinatorCard, Coordinators
from orchestrator.overview.pictures import CampaignLine, FleetPicture, HaltLine
from orchestrator.overview.roster import roster

NOW_S = 5000.0
COMMANDS = [
    ["status"], ["status", "c-1"], ["list"], ["workers"], ["abort"], ["abort", "c-1"], ["halt"], ["resume"],
    ["note", "c-1", "text"], ["drain", "w1"], ["observe", "c-1", "text"], ["approve", "c-1", "phase"],
    ["done", "c-1", "step"], ["reveal", "c-1", "fault"], ["schedule", "list"], ["schedule", "pause", "n"],
]  # fmt: skip
LEADER = CoordinatorCard(
    host="atlas", pid=7, version="0.1.0", runs="/runs", epoch=3, since_s=NOW_S - 240, seen_s=NOW_S
)


def shakeout(*words, **environment):
    return CliRunner().invoke(app, words, env={"SHAKEOUT_BROKER": None, **environment})


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_without_a_broker_the_call_is_wrong_and_says_how_to_name_one(words):
    done = shakeout(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "say --broker redis://HOST:PORT or set SHAKEOUT_BROKER" in done.stderr


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_redis_that_is_not_there_is_exit_6_with_its_address_but_not_its_password(words):
    done = shakeout(*words, SHAKEOUT_BROKER="redis://:hidden@127.0.0.1:9/0")
    assert (done.exit_code, done.stdout) == (6, "")
    assert "127.0.0.1:9" in done.stderr
    assert "hidden" not in done.stderr


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_address_that_cannot_be_read_is_a_wrong_call(words):
    assert shakeout(*words, "--broker", "http://127.0.0.1:9").exit_code == 2


@pytest.fixture
def fleet(card):
    def make(*cards, epoch=3, leader=LEADER, standbys=(), halted=None, campaigns=()):
        crew = roster(cards, used={"a": 1}, leader=None, version="", now_s=NOW_S)
        return FleetPicture(
            at_s=NOW_S,
            coordinators=Coordinators(epoch=epoch, leader=leader, standbys=standbys),
            halted=halted,
            workers=crew,
            slots=sum(one.slots for one in crew if one.state != "gone"),
            slots_free=sum(one.free for one in crew),
            flower="http://atlas:5555" if cards else "",
            campaigns=campaigns,
        )

    return make


def said(picture, *, width=200, terminal=False):
    to = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, highlight=False)
    _show_fleet(to, picture)
    return to.file.getvalue()


def test_an_empty_fleet_says_what_to_start(fleet):
    words = said(fleet(epoch=0, leader=None))
    assert "coordinator: nobody leads: start one with `shakeout coordinator --runs URL`\n" in words
    assert "workers: none is alive: start one with `shakeout worker --name NAME --slots 4`\n" in words
    assert "campaigns: none is live" in words
    assert "halted" not in words
    assert "Flower" not in words


def test_a_fleet_at_work_says_who_leads_since_when_and_who_is_missing(fleet, card):
    cards = [
        card("a", seen_s=NOW_S), card("b", seen_s=NOW_S, draining=True), card("c", seen_s=NOW_S - 90),
        card("d", seen_s=NOW_S, refused=1, refused_why="foreign key"),
    ]  # fmt: skip
    standby = CoordinatorCard(host="borea", pid=8, version="0.1.0", runs="/runs")
    words = said(fleet(*cards, standbys=(standby,)))
    assert "coordinator: atlas (pid 7), version 0.1.0, leads for 4 min, epoch 3; runs in /runs" in words
    assert "; standing by: borea (pid 8)\n" in words
    assert "workers: 3 alive, 3 of 6 slots free; draining: b; gone: c (90 s ago)\n" in words
    assert "  d: did not believe a task or order: foreign key\n" in words
    assert "Flower: http://atlas:5555\n" in words


def test_a_leader_that_shows_no_card_is_still_one(fleet):
    assert "coordinator: one leads, epoch 3\n" in said(fleet(leader=None))


def test_a_halt_says_by_whom_since_when_why_and_whether_our_key_vouches_for_it(fleet):
    words = said(fleet(halted=HaltLine(by="eve", why="smoke", at_s=NOW_S - 60)))
    assert "halted: by eve 60 s ago: smoke; `shakeout resume` ends it\n" in words
    doubted = HaltLine(by="eve", why="", at_s=NOW_S, doubt="foreign key")
    assert halted_words(doubted, NOW_S) == "by eve 0 s ago (foreign key)"


@pytest.mark.parametrize("width", [30, 60, 200])
def test_names_of_campaigns_are_whole_on_a_terminal_of_any_width(fleet, width):
    line = CampaignLine(id="chat-20260101-120000-abcd", state="running", labels={}, phase="peak", share=0.5)
    words = said(fleet(campaigns=(line,)), width=width, terminal=True)
    assert line.id in words
    assert "running" in words


def test_of_a_campaign_that_left_no_report_none_is_promised(at_fleet, ended):
    ended("c-1", verdict="refused", error_txt=b"not signed")
    ended("c-2", verdict="pass", report_json=b"{}")
    told = at_fleet("status", "c-1").stdout
    assert "it has no report" in told
    assert "shakeout report" not in told
    assert "`shakeout report c-2`" in at_fleet("status", "c-2").stdout
