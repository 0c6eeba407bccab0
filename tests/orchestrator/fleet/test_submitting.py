"""`submit --wait`, `watch`, `report` as a pipeline uses them: the real command at a real fleet with keys."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from workers.contract import facts as f
from workers.contract.broker import names

ENDS_WITHIN_S = 60.0
DETACHED_WITHIN_S = 9.0
"""Three times what it takes with Redis there."""
LOAD = """\
campaign: {name}
on_lost_coordinator: 2s
validity: {{lag_p99: 10s, start_skew: 10s, achieved: 10%, coverage: 10%}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 1s}}
phases:
  - name: only
    activities:
      - {{name: load, kind: load, target: chat, shards: 2, duration: {duration}, slos: ["{slo}"],
         arrivals: {{process: constant, rate: 40/s}},
         data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}}}
"""


@dataclass
class Command:
    """A running `shakeout ...`; stdout line by line, stderr in a file."""

    popen: "subprocess.Popen[str]"
    errors: Path

    def line(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().rstrip("\n")

    def wait(self, within_s: float = ENDS_WITHIN_S) -> tuple[int, str]:
        """Exit code, and the rest of stdout."""
        rest, _ = self.popen.communicate(timeout=within_s)
        return self.popen.returncode, rest

    def said(self) -> str:
        return self.errors.read_text()


@pytest.fixture
def shakeout(signed_fleet, tmp_path) -> Iterator[Callable[..., Command]]:
    """Starts the real command as `ada`, in a folder of the test's own."""
    signed_fleet.ensure()
    started: list[subprocess.Popen[str]] = []
    secret = signed_fleet.keys.keys[0].secret
    environment = {
        **os.environ, "SHAKEOUT_BROKER": signed_fleet.server.url, "SHAKEOUT_SIGNING_KEY": f"ada={secret}",
    }  # fmt: skip

    def start(*words: str) -> Command:
        errors = tmp_path / f"stderr-{len(started)}"
        with errors.open("w") as file:
            popen = subprocess.Popen(
                [sys.executable, "-m", "orchestrator", *words],
                stdout=subprocess.PIPE, stderr=file, text=True, cwd=tmp_path, env=environment,
            )  # fmt: skip
        started.append(popen)
        return Command(popen, errors)

    yield start
    for popen in started:
        if popen.poll() is None:
            popen.kill()
        popen.communicate()


@pytest.fixture
def campaign(signed_fleet, tmp_path) -> Callable[..., str]:
    """The file of a load on the fleet's target."""

    def write(name: str, *, duration: str = "2s", slo: str = "success_rate >= 10%") -> str:
        path = tmp_path / f"{name}.yaml"
        path.write_text(LOAD.format(name=name, url=signed_fleet.url, duration=duration, slo=slo))
        return str(path)

    return write


@pytest.fixture
def under_way(signed_fleet, until) -> Callable[[str], None]:
    """Waits until a campaign's load runs."""

    def wait(id_: str) -> None:
        store = signed_fleet.store
        until(lambda: any(isinstance(entry.fact, f.PhaseStarted) for entry in store.journal(id_)))

    return wait


def test_a_pipeline_gets_id_progress_results_and_exit_code(
    shakeout, campaign, signed_fleet, tmp_path
) -> None:
    signed_fleet.store.client.set(names.FLOWER, "http://127.0.0.1:5555", ex=60)
    flags = ("--label", "team=search", "--set", "seed=5", "--max-time", "5m")
    one = shakeout("submit", campaign("piped"), "--wait", "--out", "out", *flags)
    id_ = one.line()
    assert one.popen.poll() is None, "the id comes before the wait"
    assert one.line() == "Flower: http://127.0.0.1:5555"
    signed_fleet.store.client.delete(names.FLOWER)
    code, rest = one.wait()
    assert code == 0, one.said()
    assert rest.splitlines() == [
        "phase only: started", "phase only: pass", "verdict: pass", f"report: {tmp_path}/out/report.html",
    ]  # fmt: skip
    kept = signed_fleet.folder / "runs" / id_
    assert {path.name for path in kept.iterdir()} == {path.name for path in (tmp_path / "out").iterdir()}
    for path in kept.iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["campaign"]["id"] == id_
    assert report["campaign"]["seed"] == 5
    assert report["campaign"]["labels"] == {"team": "search"}
    again = shakeout("report", id_, "--json")
    code, rest = again.wait()
    assert (code, json.loads(rest)["report"]) == (0, str(tmp_path / "runs" / id_ / "report.json"))


def test_a_broken_objective_is_exit_code_1_and_json_is_a_line_each(shakeout, campaign) -> None:
    one = shakeout("submit", campaign("broken", slo="p50(latency) < 1us"), "--wait", "--json")
    first = json.loads(one.line())
    code, rest = one.wait()
    (result,) = map(json.loads, rest.splitlines())
    assert (code, result["verdict"], result["campaign"]) == (1, "fail", first["campaign"])
    assert result["report"] is None


def test_a_signal_ends_the_watching_and_not_the_campaign(
    shakeout, campaign, under_way, signed_fleet, until
) -> None:
    one = shakeout("submit", campaign("detached", duration="15s"), "--wait")
    id_ = one.line()
    other = shakeout("watch", id_)
    under_way(id_)
    assert [other.line(), other.line()] == [f"campaign {id_}", "phase only: started"]
    for command, number, code in ((one, signal.SIGINT, 130), (other, signal.SIGTERM, 143)):
        command.popen.send_signal(number)
        assert command.wait(DETACHED_WITHIN_S)[0] == code
        assert f"the campaign goes on: `shakeout watch {id_}`, `shakeout abort {id_}`" in command.said()
    code, rest = shakeout("watch").wait()
    assert code == 0, rest
    assert "phase only: started\nphase only: pass\nverdict: pass\n" in rest
    assert f"results: {signed_fleet.folder}/runs/{id_} on " in rest


def test_watching_goes_on_through_an_outage_of_redis(
    shakeout, campaign, under_way, signed_fleet, until
) -> None:
    one = shakeout("submit", campaign("outage", duration="8s"), "--wait")
    under_way(one.line())
    signed_fleet.server.pause()
    try:
        until(lambda: "Redis does not answer, trying again" in one.said())
    finally:
        signed_fleet.server.resume()
    code, rest = one.wait()
    assert code in {0, 4}, "the load may have been silent for a moment"
    assert "verdict: " in rest
    assert one.said().count("Redis does not answer, trying again\n") == 1
    assert one.said().count("Redis is back\n") == 1


def test_an_abort_by_another_person_is_exit_code_5_with_who_it_was(shakeout, campaign, under_way) -> None:
    one = shakeout("submit", campaign("aborted", duration="60s"), "--wait")
    id_ = one.line()
    under_way(id_)
    assert shakeout("abort", id_, "--why", "the pager rings").wait()[0] == 0
    code, rest = one.wait()
    assert code == 5, rest
    assert "the pager rings" in rest


def test_a_submission_that_the_leader_does_not_believe_is_exit_code_2(
    shakeout, campaign, monkeypatch, signed_fleet
) -> None:
    monkeypatch.setitem(os.environ, "SHAKEOUT_SIGNING_KEY", "")
    environment = {**os.environ, "SHAKEOUT_BROKER": signed_fleet.server.url}
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "submit", campaign("unsigned"), "--wait"],
        env=environment, capture_output=True, text=True, timeout=ENDS_WITHIN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout
    assert "verdict: refused" in done.stdout
    assert "is not signed" in done.stdout
