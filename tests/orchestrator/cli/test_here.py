"""A run on this machine is found by its folder, by its id from where it lies, or as the only one."""

import json

import pytest

from orchestrator.cli.here import run_here
from orchestrator.local_access import ACCESS
from workers.contract import facts as f
from workers.contract.broker import names

NOWHERE = "redis://127.0.0.1:9/0"


@pytest.fixture
def running(tmp_path, monkeypatch):
    """Makes the folder of a run that goes on, as `run` leaves it; commands are called beside it."""
    monkeypatch.chdir(tmp_path)

    def make(folder, campaign, *, broker=NOWHERE):
        work = tmp_path / folder / "work"
        work.mkdir(parents=True)
        said = {"campaign": campaign, "broker": broker, "key": "run=" + "k" * 32}
        (work / ACCESS).write_text(json.dumps(said))
        return tmp_path / folder

    return make


def test_a_run_is_found_by_its_folder_and_by_its_id_wherever_it_lies_near(running):
    running("runs/c-1", "c-1")
    elsewhere = running("out", "c-2")
    assert run_here("c-1", "").campaign == "c-1"
    assert run_here("c-2", "").campaign == "c-2"
    assert run_here(str(elsewhere), "").campaign == "c-2"
    assert run_here("c-3", "") is None


def test_without_an_id_only_the_one_run_can_be_meant_and_never_where_a_fleet_is_named(running):
    assert run_here(None, "") is None
    running("runs/c-1", "c-1")
    assert run_here(None, "").campaign == "c-1"
    assert run_here(None, NOWHERE) is None
    running("runs/c-2", "c-2")
    assert run_here(None, "") is None


@pytest.mark.parametrize("command", [("approve", "c-9", "faults"), ("note", "c-9", "x"), ("status", "c-9")])
def test_with_neither_a_fleet_nor_a_run_it_is_said_how_to_name_each(at_fleet, command):
    done = at_fleet(*command, broker="")
    assert done.exit_code == 2
    assert "no `shakeout run` of c-9 goes on in" in done.stderr
    assert "its folder in place of the id" in done.stderr
    assert "SHAKEOUT_BROKER" in done.stderr


def test_status_of_a_run_here_needs_no_broker(at_fleet, running, shared_valkey, redis_client):
    said = f.Submitted(campaign="c-1", text="", by="ada", at_s=1.0)
    redis_client.xadd(names.journal("c-1"), {"f": f.encode_fact(said)})
    redis_client.zadd(names.CAMPAIGNS, {"c-1": 1.0})
    folder = running("somewhere/else", "c-1", broker=shared_valkey.url)
    shown = at_fleet("status", folder, "--json", broker="")
    assert shown.exit_code == 0, shown.stderr
    assert json.loads(shown.stdout)["campaign"]["id"] == "c-1"
    assert at_fleet("status", folder, broker=NOWHERE).exit_code == 0, "the folder says which Redis it is"


def test_a_run_here_is_aborted_by_its_folder_without_a_broker(at_fleet, running, shared_valkey, ended):
    folder = running("runs/c-1", ended("c-1"), broker=shared_valkey.url)
    for words in ((folder,), ("c-1",), ()):  # without an id the only one here is meant
        told = at_fleet("abort", *words, "--json", broker="")
        assert (told.exit_code, json.loads(told.stdout)["state"]) == (0, "over"), told.stderr
