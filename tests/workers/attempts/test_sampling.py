"""Samples from a real engine under a real worker to the runs URL, and what is said where that fails."""

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from workers.contract.broker import names
from workers.contract.data import Fixed, SyntheticData
from workers.contract.facts import Exited, Ready
from workers.contract.samples import SampleSpec
from workers.contract.schedule import OpenArrivals, Segment
from workers.contract.spec import LoadSpec, TargetSpec


@pytest.fixture
def scene(stage) -> tuple[Callable[..., LoadSpec], Path, object]:
    """A worker and a quick target, under a leader; makes loads whose samples go to a URL."""
    stage.lead()
    url, log = stage.target("--ttft", "5ms", "--gap", "1ms", "--tokens", "4")
    worker = stage.worker()

    def load(samples_url: str, *, duration_s: float = 2.0) -> LoadSpec:
        arrivals = OpenArrivals("poisson", (Segment(0.0, duration_s, 40.0, 40.0),), 7, "peak")
        target = TargetSpec("chat", "openai-chat", url, {"url": url, "model": "demo"}, 5.0)
        return LoadSpec(
            campaign="trial-1", phase="p", activity="peak", kind="load", target=target, arrivals=arrivals,
            warmup_s=0.0, max_in_flight=200, data=SyntheticData(Fixed(8), Fixed(4)), bounds=(),
            tag_groups=(), seed=7, fence_s=10.0, samples=SampleSpec(1.0, samples_url),
        )  # fmt: skip

    return load, log, worker


def rows(folder: Path) -> list[str]:
    return [
        one
        for file in sorted(folder.glob("*.parquet"))
        for one in pq.read_table(file)["request_id"].to_pylist()
    ]


def test_when_an_attempt_is_over_its_samples_are_stored(stage, scene, target_log, tmp_path):
    load, log, _ = scene
    task = stage.place(load(str(tmp_path / "runs" / "c" / "samples")), kind="load")
    stage.fact(Ready)
    stage.start(task)
    assert stage.fact(Exited).samples_why == ""
    ids = sorted(line["id"] for line in target_log(log, "received"))
    assert sorted(rows(tmp_path / "runs" / "c" / "samples")) == ids
    assert list((stage.folder / "home" / "samples" / "w1").iterdir()) == []


def test_a_place_that_cannot_be_written_is_said_and_the_load_is_done(stage, scene, tmp_path):
    load, _, _ = scene
    (tmp_path / "runs").write_text("not a folder")
    task = stage.place(load(str(tmp_path / "runs" / "c" / "samples")), kind="load")
    stage.fact(Ready)
    stage.start(task)
    exited = stage.fact(Exited, within_s=60.0)
    assert exited.outcome == "done"
    assert "worker w1: 1 files of samples are still on the worker's disk" in exited.samples_why
    assert sum(one.sampled for one in stage.snapshots(task)) > 0


def test_a_folder_that_is_not_the_coordinators_is_not_filled(stage, scene, tmp_path):
    load, _, _ = scene
    stage.client.set(names.RUNS, "the coordinator's mark")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / names.RUNS_MARKER).write_text("another mark")
    task = stage.place(load(f"file://{tmp_path}/runs/c/samples"), kind="load")
    stage.fact(Ready)
    stage.start(task)
    exited = stage.fact(Exited)
    assert exited.outcome == "done"
    assert "is not the coordinator's folder" in exited.samples_why
    assert not (tmp_path / "runs" / "c").exists()
    assert sum(one.sampled for one in stage.snapshots(task)) > 0


def test_the_coordinators_folder_on_a_shared_disk_is_known_by_its_mark(stage, scene, tmp_path):
    load, _, _ = scene
    stage.client.set(names.RUNS, "the coordinator's mark")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / names.RUNS_MARKER).write_text("the coordinator's mark")
    task = stage.place(load(f"file://{tmp_path}/runs/c/samples"), kind="load")
    stage.fact(Ready)
    stage.start(task)
    assert stage.fact(Exited).samples_why == ""
    assert rows(tmp_path / "runs" / "c" / "samples")


def test_of_an_engine_that_died_all_but_the_last_second_is_stored(stage, scene, target_log, tmp_path):
    load, log, worker = scene
    task = stage.place(load(str(tmp_path / "samples"), duration_s=60.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(stage.snapshots(task)) >= 4)
    for child in psutil.Process(worker.pid).children():
        if "workers.engine" in child.cmdline():
            child.send_signal(signal.SIGKILL)
    assert stage.fact(Exited).outcome == "died"
    kept = rows(tmp_path / "samples")
    assert len(kept) == len(set(kept)) > 0
    assert set(kept) <= {line["id"] for line in target_log(log, "received")}
    shots = stage.snapshots(task)
    assert sum(one.sampled for one in shots) >= len(kept)
    assert shots[-1].final


def test_a_killed_workers_samples_are_stored_by_its_next_life(stage, scene, tmp_path):
    load, _, worker = scene
    task = stage.place(load(str(tmp_path / "samples"), duration_s=60.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(stage.snapshots(task)) >= 4)
    worker.kill()
    worker.wait()
    assert rows(tmp_path / "samples") == []
    stage.worker()
    stage.until(lambda: rows(tmp_path / "samples"))
    stage.until(lambda: not list((stage.folder / "home" / "samples" / "w1").iterdir()))
