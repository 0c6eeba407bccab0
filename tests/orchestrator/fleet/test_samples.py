"""Samples of a fleet: every row is a request that the target saw, and what is missing is said."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from workers.contract import facts as f

ALL = "samples: all\n"


@pytest.fixture
def sharing(fleet_on, valkey) -> Any:
    """A fleet whose hosts, all one, share the folder of its runs."""
    fleet = fleet_on(valkey())
    runs = f"file://{fleet.folder}/runs"
    fleet.coordinators.append(fleet.spawn("-m", "orchestrator", "coordinator", "--runs", runs))
    fleet.ensure(workers=2)
    return fleet


@pytest.fixture
def stored() -> Callable[..., list[str]]:
    """Request ids of all rows of a campaign."""

    def read(campaign: Any) -> list[str]:
        folder = Path(campaign.fleet.folder) / "runs" / campaign.id / "samples"
        files = sorted(folder.glob("*.parquet"))
        return [id_ for file in files for id_ in pq.read_table(file)["request_id"].to_pylist()]

    return read


def test_a_plain_folder_of_the_coordinators_host_is_refused_twice(fleet, until, tmp_path):
    fleet.ensure(workers=1)
    campaign = fleet.submit("plain", top=ALL)
    assert "--runs file:///FOLDER" in campaign.fact(f.Refused).why
    assert campaign.fact(f.Ended).verdict == "refused"
    until(campaign.finished)
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "submit", str(fleet.folder / "plain.yaml")],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "SHAKEOUT_BROKER": fleet.server.url},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "--runs file:///FOLDER" in done.stderr


def test_an_engine_that_is_killed_costs_its_last_second_of_samples_and_that_is_said(sharing, until, stored):
    campaign = sharing.submit("hurt", top=ALL, duration="8s")
    until(lambda: len(campaign.log()) > 150)
    next(worker for worker in sharing.workers.values() if worker.engines()).engines()[0].kill()
    report = campaign.report()
    counts = campaign.agrees(report)
    rows = stored(campaign)
    assert len(set(rows)) == len(rows), "no request has two rows"
    assert set(rows) <= {line["id"] for line in campaign.log()}
    said = report["activities"]["hurt"]["samples"]
    assert (said["rows"], said["share"]) == (len(rows), 1.0)
    # abandoned requests have no row: nobody saw them end
    ended = counts["sent"] - counts["by_error"].get("abandoned", 0)
    assert said["rows"] + said["missing"] == ended
    assert any("-2-" in file.name for file in _files(campaign)), "the successor's are there too"


def test_a_killed_workers_next_life_brings_what_it_had(sharing, until, stored):
    campaign = sharing.submit("gone", top=ALL, duration="10s")
    until(lambda: len(campaign.log()) > 200)
    name, worker = next((name, one) for name, one in sharing.workers.items() if one.engines())
    worker.kill()
    sharing.worker(name)
    report = campaign.report(within_s=60.0)
    campaign.agrees(report)
    until(lambda: not list((sharing.folder / f"home-{name}" / "samples" / name).iterdir()))
    rows = stored(campaign)
    assert len(set(rows)) == len(rows)
    assert set(rows) <= {line["id"] for line in campaign.log()}
    first = {id_ for id_ in rows if id_.endswith("/1")}
    both = {int(id_.split("/")[1]) % 2 for id_ in first}
    assert both == {0, 1}, "of the first attempts at both shards there are rows"


def _files(campaign: Any) -> list[Path]:
    return sorted((Path(campaign.fleet.folder) / "runs" / campaign.id / "samples").iterdir())
