import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from workers.contract.samples import Sample, SpoolHeader, encode, frame
from workers.samples import store as room
from workers.samples.store import KEPT_S, SampleStore

WITHIN_S = 20.0


@pytest.fixture
def store(tmp_path, monkeypatch) -> Iterator[Callable[[], SampleStore]]:
    """Lives of one worker, one after the other, on the same folder."""
    monkeypatch.setattr(room, "AGAIN_AFTER_S", 0.2)
    lives: list[SampleStore] = []

    def life() -> SampleStore:
        for before in lives:
            before.close()
        lives.append(SampleStore(tmp_path / "spool"))
        return lives[-1]

    yield life
    for one in lives:
        one.close()


def write(stem: Path, place: int, url: str, *indices: int, end: str = ".done") -> Path:
    samples = [
        Sample(
            index, f"surge/{index}/1", 0.5, 0.6, 0.0, 0.0, 0.1, 0.3, 0.2, None, None, None, None, b"", None,
            None, 200, "ok", "", {}, "",
        )
        for index in indices
    ]  # fmt: skip
    header = SpoolHeader("trial", "peak", "surge", 0, 1, "surge:0:1", 100.0, 0.0, url, place)
    path = stem.with_name(f"{stem.name}-{place:03d}{end}")
    half = path.with_suffix(".half")
    half.write_bytes(frame(encode(header)) + frame(encode(samples)))
    return half.rename(path)


def stored(folder: Path) -> dict[str, list[int]]:
    return {file.name: pq.read_table(file)["index"].to_pylist() for file in sorted(folder.glob("*.parquet"))}


def until(check: Callable[[], object]) -> None:
    end_s = time.monotonic() + WITHIN_S
    while not check():
        assert time.monotonic() < end_s, "waited too long"
        time.sleep(0.02)


def test_whole_files_are_stored_while_the_attempt_runs_and_the_last_at_its_end(store, tmp_path):
    one = store()
    stem, url = one.stem(), str(tmp_path / "runs" / "samples")
    first = write(stem, 0, url, 1, 2)
    until(lambda: not first.exists())
    write(stem, 1, url, 3, end=".open")
    assert one.settle(stem, within_s=WITHIN_S) == ""
    assert stored(tmp_path / "runs" / "samples") == {
        "surge-0-1-000.parquet": [1, 2],
        "surge-0-1-001.parquet": [3],
    }
    assert list((tmp_path / "spool").iterdir()) == []


def test_an_attempt_without_samples_leaves_no_file(store, tmp_path):
    one = store()
    stem = one.stem()
    write(stem, 0, str(tmp_path / "runs"))
    assert one.settle(stem, within_s=WITHIN_S) == ""
    assert stored(tmp_path / "runs") == {}


def test_a_url_that_is_away_is_tried_again(store, tmp_path):
    (tmp_path / "runs").write_text("not a folder")
    one = store()
    stem = one.stem()
    write(stem, 0, str(tmp_path / "runs"), 1)
    why = one.settle(stem, within_s=0.5)
    assert "1 files of samples are still on the worker's disk" in why
    (tmp_path / "runs").unlink()
    assert one.settle(stem, within_s=WITHIN_S) == ""
    assert stored(tmp_path / "runs") == {"surge-0-1-000.parquet": [1]}


def test_one_url_that_is_away_keeps_no_other_waiting(store, tmp_path):
    (tmp_path / "away").write_text("not a folder")
    one = store()
    bad, good = one.stem(), one.stem()
    write(bad, 0, str(tmp_path / "away"), 1)
    write(good, 0, str(tmp_path / "runs"), 2)
    assert one.settle(good, within_s=WITHIN_S) == ""
    assert stored(tmp_path / "runs") == {"surge-0-1-000.parquet": [2]}


def test_the_next_life_stores_what_a_killed_one_left_and_stores_nothing_twice(store, tmp_path):
    url = str(tmp_path / "runs")
    stem = tmp_path / "spool" / "left"
    stem.parent.mkdir()
    write(stem, 0, url, 1)
    write(stem, 1, url, 2, end=".open")
    store().start()
    until(lambda: not list(stem.parent.iterdir()))
    assert stored(tmp_path / "runs") == {"surge-0-1-000.parquet": [1], "surge-0-1-001.parquet": [2]}
    write(stem, 1, url, 2)
    store().start()
    until(lambda: not list(stem.parent.iterdir()))
    assert stored(tmp_path / "runs") == {"surge-0-1-000.parquet": [1], "surge-0-1-001.parquet": [2]}


def test_a_file_that_cannot_be_read_again_is_said(store, tmp_path):
    one = store()
    stem = one.stem()
    stem.with_name(f"{stem.name}-000.done").write_bytes(b"")
    assert "could not be read again" in one.settle(stem, within_s=WITHIN_S)


def test_what_could_not_be_stored_for_a_week_goes(store, tmp_path):
    (tmp_path / "away").write_text("not a folder")
    stem = tmp_path / "spool" / "left"
    stem.parent.mkdir()
    old = write(stem, 0, str(tmp_path / "away"), 1)
    os.utime(old, (time.time() - KEPT_S - 1,) * 2)
    store().start()
    until(lambda: not old.exists())
