"""Where results live: any URL, and in Redis for a day what is small enough."""

import os
import subprocess
import sys

import fsspec
import pytest

from orchestrator.results import results
from orchestrator.results.results import LEFT_OUT, Results


@pytest.fixture(params=["", "file://", "memory://"])
def runs(request, tmp_path):
    return f"{request.param}{tmp_path}/runs"


def test_parts_marker_and_reports_are_kept_at_any_url(runs):
    kept = Results(runs)
    assert (kept.marker(), kept.has_report("c-1")) == ("", False)
    kept.mark("this fleet")
    kept.put_part("c-1", "000001", b"part")
    other = Results(runs)  # a standby's
    assert (other.marker(), other.part("c-1", "000001")) == ("this fleet", b"part")
    fsspec.core.url_to_fs(runs)[0].pipe_file(f"{runs}/c-1/report.json", b"{}")
    assert other.has_report("c-1")
    kept.drop_parts("c-1")
    kept.drop_parts("c-1")
    with pytest.raises(FileNotFoundError):
        other.part("c-1", "000001")
    assert other.has_report("c-1")


def test_what_is_too_large_for_redis_is_named_with_its_place(monkeypatch):
    monkeypatch.setattr(results, "MOST_BYTES", 3)
    files = {"junit.xml": b"abc", "intervals.parquet": b"abcd", "report.json": b"abcd"}
    kept = results._small_enough(files, place="s3://user:secret@bucket/runs/c-1")
    assert list(kept) == ["junit.xml", "report.json", LEFT_OUT]
    assert kept[LEFT_OUT] == b"intervals.parquet: 0 MiB, only at s3://bucket/runs/c-1/intervals.parquet\n"
    assert LEFT_OUT not in results._small_enough({"junit.xml": b"abc"}, place="runs/c-1")


def test_a_coordinator_whose_runs_url_cannot_work_says_so_and_ends(redis_client, shared_valkey, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "coordinator", "--runs", "s4://bucket/runs"],
        env={**os.environ, "SHAKEOUT_BROKER": shared_valkey.url},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "there is no such kind of URL; say one of file://" in done.stderr
    assert "Traceback" not in done.stderr


def test_how_much_was_decided_is_the_most_that_any_leader_noted_and_goes_with_the_parts(tmp_path) -> None:
    kept = Results(str(tmp_path))
    assert kept.decided("c-1", server="a") == 0
    kept.note_decided("c-1", 7, leader="2-b", server="a")
    kept.note_decided("c-1", 3, leader="1-a", server="a")  # of a leader that stalled in between
    kept.put_part("c-1", "000001", b"part")
    assert (kept.decided("c-1", server="a"), kept.decided("c-2", server="a")) == (7, 0)
    assert kept.decided("c-1", server="b") == 0, "a Redis that began anew may have lost them"
    kept.drop_parts("c-1")
    assert kept.decided("c-1", server="a") == 0
