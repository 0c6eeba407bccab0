import resource
import signal

import pytest

from workers.contract.samples import Sample, SpoolHeader, encode, frame, read_spool
from workers.engine import spool as spools
from workers.engine.spool import NoRoomError, Spool

HEADER = SpoolHeader("trial", "peak", "surge", 0, 1, "surge:0:1", 100.0, 0.0, "memory://x", 0)


def frames(*indices: int, why: str = "") -> bytes:
    samples = [
        Sample(
            index, f"surge/{index}/1", 0.5, 0.6, 0.0, 0.0, 0.1, 0.3, 0.2, None, None, None, None, b"", None,
            None, 200, "ok", why, {}, "",
        )
        for index in indices
    ]  # fmt: skip
    return frame(encode(samples))


def rows(path) -> list[int]:
    return [one.index for samples in read_spool(path)[1] for one in samples]


def test_a_file_is_handed_over_when_it_is_large_and_the_next_has_the_next_number(tmp_path, monkeypatch):
    monkeypatch.setattr(spools, "FILE_BYTES", 2000)
    spool = Spool(tmp_path / "a", HEADER)
    for index in range(30):
        spool.add(frames(index))
    spool.add(b"")
    spool.close()
    spool.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) > 1
    assert [file.name for file in files] == [f"a-{place:03d}.done" for place in range(len(files))]
    assert [read_spool(file)[0].place for file in files] == list(range(len(files)))
    assert [index for file in files for index in rows(file)] == list(range(30))


def test_a_file_is_handed_over_when_it_is_old_though_nothing_comes(tmp_path, monkeypatch):
    spool = Spool(tmp_path / "a", HEADER)
    spool.add(frames(1))
    assert [file.suffix for file in tmp_path.iterdir()] == [".open"]
    monkeypatch.setattr(spools, "FILE_S", 0.0)
    spool.add(b"")
    assert [file.suffix for file in tmp_path.iterdir()] == [".done"]


def test_where_nothing_is_sampled_there_is_no_file(tmp_path):
    spool = Spool(tmp_path / "a", HEADER)
    spool.add(b"")
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_half_way_leaves_nothing_of_itself(tmp_path):
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    spool = Spool(tmp_path / "a", HEADER)
    spool.add(frames(1))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
        with pytest.raises(OSError, match="large"):
            spool.add(frames(2, why="x" * 4000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    spool.add(frames(3))
    spool.close()
    assert rows(tmp_path / "a-000.done") == [1, 3]


def test_a_disk_that_is_nearly_full_is_left_to_what_matters_more(mounted):
    place = mounted("size=1m")
    with pytest.raises(NoRoomError, match="less than 64 MiB are free"):
        Spool(place / "a", HEADER).add(frames(1))
    assert list(place.iterdir()) == []


def test_what_waits_for_the_runs_url_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(spools, "FILE_S", 0.0)
    monkeypatch.setattr(spools, "MOST_WAITING_BYTES", 1000)
    spool = Spool(tmp_path / "a", HEADER)
    for index in range(20):
        spool.add(frames(index))
        if sum(file.stat().st_size for file in tmp_path.glob("*.done")) >= 1000:
            break
    with pytest.raises(NoRoomError, match="wait to be stored"):
        spool.add(frames(99))
    for file in tmp_path.glob("*.done"):
        file.unlink()
    spool.add(frames(100))
    (file,) = tmp_path.glob("*.done")
    assert rows(file) == [100]
