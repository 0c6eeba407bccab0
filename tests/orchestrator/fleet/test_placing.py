"""Where a live fleet puts a campaign's shards, and what it says where it cannot."""

import json
import signal
import subprocess
import sys
from importlib import metadata

import pytest

from orchestrator.overview.read import read_live
from workers import host
from workers.contract import facts as f
from workers.contract.addresses import joined

TEXT = """\
campaign: {name}
seed: 3
on_lost_coordinator: 2s
validity: {{lag_p99: 10s, start_skew: 10s}}
place_within: {place_within}
share_target: true
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 1s}}
phases:
  - name: only
    activities:
      - name: {name}
        kind: load
        target: chat
        shards: {shards}
        where: {where}
        arrivals: {{process: poisson, rate: 40/s}}
        duration: {duration}
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
        slos: ["success_rate >= 50%"]
"""
MIG = ["NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA H100 80GB HBM3 MIG 2g.20gb"]


@pytest.fixture
def one_more(fleet, until):
    """Starts a worker beside an ordinary one; it is ended with the test."""
    started = []

    def start(name, *flags, **environment):
        fleet.ensure(workers=1)
        argv = ("-m", "workers", "--name", name, "--slots", "2", *flags)
        process = fleet.spawn(*argv, SHAKEOUT_HOME=str(fleet.folder / f"home-{name}"), **environment)
        started.append(process)
        fleet.workers[name] = process
        until(lambda: process.said("ready"))

    yield start
    for process in started:
        process.signal(signal.SIGTERM)
        process.popen.wait(30)


@pytest.fixture
def gpu_worker(one_more, nvidia):
    """A worker with GPUs beside one without."""
    one_more("on-gpu", **nvidia().environment)


@pytest.fixture
def holder(fleet, until):
    """A campaign that has all slots of the one worker; ended with the test."""
    fleet.ensure(workers=1)
    campaign = fleet.submit_text(text(fleet, "holder", duration="2m"), "holder")
    until(lambda: len(campaign.facts(f.Claimed)) == 2)
    yield campaign
    fleet.store.say(campaign.id, id_="abort:me", fact=f.AbortAsked(by="me"))
    campaign.report()


def text(fleet, name, **given):
    keys = {"shards": 2, "where": "{}", "duration": "2s", "place_within": "60s"} | given
    return TEXT.format(name=name, url=fleet.url, **keys)


def shakeout(fleet, *words):
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        capture_output=True, text=True, timeout=60, check=False, cwd=fleet.folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def test_a_load_that_needs_gpus_runs_where_they_are_and_the_report_names_them(fleet, gpu_worker) -> None:
    campaign = fleet.submit_text(text(fleet, "gpu-load", where='{gpus: ">=3"}'), "gpu-load")
    report = campaign.report()
    assert {one.worker for one in campaign.facts(f.Placed)} == {"on-gpu"}
    assert campaign.agrees(report)["ok"] > 0
    (worker,) = report["fleet"]
    assert (worker["worker"], worker["gpus"], worker["driver"]) == (
        "on-gpu", ["NVIDIA H200", *MIG], "550.54.15",
    )  # fmt: skip
    assert (worker["kernel"], worker["cpu"]) == (host.kernel(), host.cpu_model())
    page = (fleet.folder / "runs" / campaign.id / "report.html").read_text()
    assert "1 × NVIDIA H200, 1 × NVIDIA H100 80GB HBM3 MIG 1g.10gb" in page
    assert "driver 550.54.15" in page
    assert host.kernel() in page


def test_a_load_that_no_worker_has_the_gpus_for_ends_as_invalid_and_names_the_nearest(
    fleet, gpu_worker
) -> None:
    given = {"where": "{gpus: 4}", "place_within": "1s"}
    report = fleet.submit_text(text(fleet, "gpu-rich", **given), "gpu-rich").report()
    assert report["verdict"] == "invalid"
    (why,) = [one for one in report["reasons"] if "could not begin" in one]
    assert (
        "gpu-rich: no worker with 4 or more GPUs; nearest is on-gpu, which has 3 of 4 GPUs (driver 550.54.15)"
        in why
    )


def test_a_worker_of_another_version_is_given_nothing_and_says_why(fleet, one_more, tmp_path, until) -> None:
    told = tmp_path / "shakeout-0.0.9.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: shakeout\nVersion: 0.0.9\n")
    one_more("older", "--label", "old", PYTHONPATH=str(tmp_path))
    older = fleet.workers["older"]
    fitting = fleet.submit_text(text(fleet, "any-worker"), "any-worker")
    given = {"where": "{label: old}", "place_within": "1s"}
    report = fleet.submit_text(text(fleet, "old-worker", **given), "old-worker").report()
    ours = metadata.version("shakeout")
    why = f"no worker with label old; nearest is older, which is version 0.0.9, not {ours}"
    assert any(why in one for one in report["reasons"]), report["reasons"]
    until(lambda: older.said(f"is version {ours}, this worker 0.0.9: it gets no work from it"))
    fitting.report()
    assert "older" not in {one.worker for one in fitting.facts(f.Placed)}


def test_a_load_that_waits_for_slots_names_the_campaign_that_has_them(fleet, holder, until) -> None:
    plan = fleet.folder / "waiter-plan.yaml"
    plan.write_text(text(fleet, "waiter"))
    said = json.loads(shakeout(fleet, "plan", str(plan), "--broker", fleet.server.url, "--json").stdout)
    second = fleet.submit_text(text(fleet, "waiter"), "waiter")
    (worker,) = fleet.workers
    why = (
        f"waiter: 2 shards need 2 slots, 0 are free on 1 worker ({worker}: 0 of 2 free); "
        f"busy with campaign {holder.id}"
    )
    view = until(lambda: (live := read_live(fleet.store, second.id)) and live.waits and live)
    assert view.waits == (f"waits for slots: {why}",)
    assert (said["fleet_is_live"], said["slots_taken"], said["unmet"]) == (True, 2, [f"only: {why}"])
    assert said["beside"]["waits"] == f"waits for slots: {why}"
    fleet.store.say(holder.id, id_="abort:me", fact=f.AbortAsked(by="me"))
    assert second.report()["verdict"] == "pass"


def test_a_plan_on_a_live_fleet_shows_its_workers_and_what_they_lack(fleet, gpu_worker) -> None:
    file = fleet.folder / "on-fleet.yaml"
    file.write_text(text(fleet, "on-fleet", where="{gpus: 3}"))
    said = shakeout(fleet, "plan", str(file), "--broker", fleet.server.url).stdout
    assert "fleet: 2 workers on 1 host, 4 slots, 3 GPUs" in said
    assert "on-fleet: run by on-gpu × 2" in said
    assert "Not met" not in said
    file.write_text(text(fleet, "on-fleet", where="{label: fast}"))
    said = shakeout(fleet, "plan", str(file), "--broker", fleet.server.url).stdout
    assert "Not met by the fleet now" in said
    assert "on-fleet: no worker with label fast; nearest is on-gpu, which has no label fast" in said


def test_load_is_not_put_on_the_host_of_its_target_unless_that_host_is_named(fleet) -> None:
    fleet.ensure(workers=1)
    (card,) = fleet.store.fleet(fleet.store.now_s())
    if not card.addresses:
        pytest.skip("this machine has no address but loopback's")
    file = fleet.folder / "at-home.yaml"
    at_home = text(fleet, "at-home").replace(fleet.url, f"http://{joined(card.addresses[0], 9)}")
    file.write_text(at_home)
    said = json.loads(shakeout(fleet, "plan", str(file), "--broker", fleet.server.url, "--json").stdout)
    (why,) = said["unmet"]
    assert f"nearest is {card.worker}, which is on the host of its target" in why
    file.write_text(at_home.replace("where: {}", f"where: {{host: {card.host}}}"))
    said = json.loads(shakeout(fleet, "plan", str(file), "--broker", fleet.server.url, "--json").stdout)
    assert said["unmet"] == []
    assert said["beside"]["uncalibrated"] == [card.host]
