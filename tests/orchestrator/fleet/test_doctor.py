"""`shakeout doctor` over a real fleet, well and ill: clocks, names, versions, leaders."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import redis

from workers.contract.broker import names

MINUTES_OFF_S = -300


@dataclass
class At:
    """Where the fleet's broker is."""

    url: str
    resume: Callable[[], None] = lambda: None


@pytest.fixture
def doctor() -> Callable[..., tuple[dict[str, Any], str, int]]:
    """Asks it twice: what it says as JSON, its text, its exit code."""

    def ask(url: str, *flags: str) -> tuple[dict[str, Any], str, int]:
        argv = [sys.executable, "-m", "orchestrator", "doctor", *flags]
        environment = {**os.environ, "SHAKEOUT_BROKER": url}
        text = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        told = subprocess.run(
            [*argv, "--json"], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert told.returncode == text.returncode
        return json.loads(told.stdout), text.stdout, text.returncode

    return ask


def bad(told: dict[str, Any], level: str = "problem") -> dict[str, str]:
    """Check -> what and where, of the findings of a level."""
    return {
        one["check"]: f"{one['where']}: {one['what']}" for one in told["findings"] if one["level"] == level
    }


@pytest.fixture
def late_clock(tmp_path: Path) -> dict[str, str]:
    """Environment of a process whose host's time of day is 5 minutes behind."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler for a wrong clock")
    library = tmp_path / "wall_clock.so"
    source = Path(__file__).parent / "wall_clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    return {"LD_PRELOAD": str(library), "WALL_CLOCK_OFF_S": str(MINUTES_OFF_S)}


@pytest.fixture
def old_version(tmp_path: Path) -> dict[str, str]:
    """Environment of a process that finds version 0.0.9 installed."""
    folder = tmp_path / "older" / "shakeout-0.0.9.dist-info"
    folder.mkdir(parents=True)
    text = metadata.metadata("shakeout").as_string().replace(metadata.version("shakeout"), "0.0.9", 1)
    (folder / "METADATA").write_text(text)
    return {"PYTHONPATH": str(folder.parent)}


def test_a_fleet_that_is_well_has_no_problem(redis_server, fleet_on, doctor):
    server = redis_server("requirepass sesame", "appendonly yes")
    fleet = fleet_on(At(server.url(":sesame")))
    fleet.ensure(coordinators=2, workers=1)
    told, text, code = doctor(fleet.server.url)
    assert (told["problems"], code) == (0, 0), bad(told)
    found = {one["check"]: one for one in told["findings"]}
    assert "version 0.1.0, epoch" in found["coordinator"]["what"]
    assert found["standby"]["what"] == "1 standing by"
    assert found["worker"]["where"].startswith(f"worker {next(iter(fleet.workers))} on host ")
    assert "sesame" not in text + json.dumps(told)
    for title in ("\nBroker\n", "\nFleet\n", "\nThis host\n"):
        assert title in text
    assert "0 problems" in text.splitlines()[-1]


def test_wrong_clocks_names_and_versions_are_found_and_named(
    redis_server, fleet_on, doctor, until, late_clock, old_version
):
    server = redis_server()
    fleet = fleet_on(At(server.url()))
    fleet.ensure(workers=1)
    (first,) = fleet.workers
    argv = ("-m", "workers", "--slots", "1", "--name")
    late = fleet.spawn(*argv, "late", SHAKEOUT_HOME=str(fleet.folder / "late"), **late_clock)
    old = fleet.spawn(*argv, "old", SHAKEOUT_HOME=str(fleet.folder / "old"), **old_version)
    second = fleet.spawn(*argv, first, SHAKEOUT_HOME=str(fleet.folder / "second"))
    assert second.popen.wait(30) == 2
    taken = f"a live worker is called {first} already (pid {fleet.workers[first].popen.pid} on host"
    assert second.said(taken), second.log.read_text()
    until(lambda: late.said("ready") and old.said("ready"))
    told, text, code = doctor(fleet.server.url)
    assert code == 1
    problems = bad(told)
    assert set(problems) == {"worker clock", "worker version", "names"}, problems
    assert problems["worker clock"].startswith("worker late on host ")
    assert "its clock is 5.0 min behind Redis's" in problems["worker clock"]
    assert problems["worker version"].startswith("worker old on host ")
    assert "version 0.0.9, the coordinator's is 0.1.0" in problems["worker version"]
    assert f"worker {first}, pid {second.popen.pid} on host " in problems["names"]
    assert f"its name is taken by pid {fleet.workers[first].popen.pid}" in problems["names"]
    for words in ("5.0 min behind", "0.0.9", "another --name"):
        assert words in text
    campaign = fleet.submit("meanwhile", duration="1s", shards=2)
    report = campaign.report()
    assert report["verdict"] == "pass", "a wrong clock or version of others costs nothing"


def test_a_fleet_without_a_leader_or_workers_is_a_problem(redis_server, doctor):
    server = redis_server()
    with redis.Redis.from_url(server.url()) as client:
        client.hset(names.WORKERS, "newer", b"{}")
    told, _, code = doctor(server.url())
    assert code == 1
    problems = bad(told)
    assert set(problems) == {"coordinator", "workers", "worker version"}
    assert problems["worker version"].startswith("worker newer: its card cannot be read")
    assert "persistence" in bad(told, "warning")


def test_what_a_worker_that_drained_or_fell_silent_looks_like(redis_server, fleet_on, doctor, until):
    server = redis_server()
    fleet = fleet_on(At(server.url()))
    fleet.ensure(workers=2)
    one = next(iter(fleet.workers.values()))
    one.kill()
    until(lambda: len(fleet.store.fleet(fleet.store.now_s())) == 1)
    fleet.store.client.hset(names.HALT, "halt", json.dumps({"by": "ada", "why": "pager", "at_s": 1.0}))
    told, _, code = doctor(fleet.server.url)
    assert code == 0
    assert "has said nothing for" in bad(told, "warning")["worker"]
    assert "all is halted by ada: pager" in bad(told, "warning")["halt"]
