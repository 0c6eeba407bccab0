"""Schedules at the command line: replaced after a change, paused once, shown by their own clock."""

import json
import threading
from datetime import UTC, datetime

import pytest

from orchestrator.coordinator.scheduling import Scheduling
from orchestrator.store.store import Store
from workers.contract.signed.halts import Halts
from workers.contract.signed.signing import NO_KEYS

ADD = ("--cron", "30 2 * * *", "--timezone", "Europe/Berlin")
LOOK_S = 0.02


@pytest.fixture
def leading(shared_valkey, redis_client):
    """The leader's part that hears schedules, in a thread of its own."""
    store, over = Store(shared_valkey.url), threading.Event()
    assert store.lead()

    def lead() -> None:
        scheduling, halts = Scheduling(), Halts(NO_KEYS)
        while not over.wait(LOOK_S):
            store.lead()
            scheduling.look(store, {}, halts)

    thread = threading.Thread(target=lead)
    thread.start()
    yield
    over.set()
    thread.join(10)
    store.client.close()


@pytest.fixture
def file(tmp_path, text_of, load_activity):
    path = tmp_path / "day.yaml"
    path.write_text(text_of(("only", load_activity)))
    return path


def listed(at_fleet):
    (line,) = json.loads(at_fleet("schedule", "list", "--json").stdout)
    return line


def test_a_schedule_holds_the_file_as_it_was_until_it_is_replaced(at_fleet, leading, file):
    assert at_fleet("schedule", "add", file, *ADD, "--name", "nightly").exit_code == 0
    again = at_fleet("schedule", "add", file, *ADD, "--name", "nightly")
    assert again.exit_code == 2
    assert "--replace" in again.stderr
    file.write_text(file.read_text().replace("campaign: ", "campaign: new-"))
    replaced = at_fleet("schedule", "add", file, *ADD, "--name", "nightly", "--replace")
    assert (replaced.exit_code, replaced.stdout.splitlines()[0]) == (
        0, "scheduled: nightly, in place of the one before",
    )  # fmt: skip
    assert listed(at_fleet)["campaign"].startswith("new-")


def test_a_schedule_rests_once_says_by_whom_and_why_and_goes_on_with_its_next_runs(at_fleet, leading, file):
    assert at_fleet("schedule", "add", file, *ADD, "--name", "nightly").exit_code == 0
    early = at_fleet("schedule", "resume", "nightly")
    assert (early.exit_code, "is not paused" in early.stderr) == (2, True)
    assert at_fleet("schedule", "pause", "nightly", "--why", "release week").exit_code == 0
    twice = at_fleet("schedule", "pause", "nightly")
    assert (twice.exit_code, "rests already, paused by" in twice.stderr) == (2, True)
    assert listed(at_fleet)["paused_why"] == "release week"
    table = at_fleet("schedule", "list").stdout
    assert "release week; `shakeout schedule resume nightly`" in table
    on = at_fleet("schedule", "resume", "nightly")
    lines = on.stdout.splitlines()
    assert (on.exit_code, lines[0], len(lines)) == (0, "resumed: nightly", 4)


def test_runs_are_shown_by_the_schedules_clock_with_its_offset(at_fleet, leading, file):
    shown = at_fleet("schedule", "add", file, *ADD, "--name", "nightly").stdout.splitlines()[1].split()
    assert (shown[2], shown[4]) == ("02:30:00", "Europe/Berlin")
    said = datetime.strptime(" ".join(shown[1:4]), "%Y-%m-%d %H:%M:%S %z")
    assert said.timestamp() == listed(at_fleet)["next"][0]["at_s"]
    assert said > datetime.now(UTC)
