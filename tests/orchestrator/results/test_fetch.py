"""Finished results out of Redis: each whole, report.json last, nothing outside the folder."""

import pytest

from orchestrator.results.fetch import FetchError, fetch, why_no_report
from orchestrator.store.store import Store
from workers.contract.broker import names

FILES = {"report.json": b"{}", "report.html": b"<html>", "intervals.parquet": bytes(range(256))}


@pytest.fixture
def store(shared_valkey, redis_client):
    found = Store(shared_valkey.url)
    yield found
    found.client.close()


@pytest.fixture
def kept(redis_client):
    """Puts results into Redis as the leader does."""

    def put(files):
        redis_client.hset(names.results("c-1"), mapping=files)

    return put


def test_every_result_is_written_as_it_is_and_report_json_last(store, kept, tmp_path):
    kept(FILES)
    written = fetch(store, "c-1", tmp_path / "new" / "out")
    assert (written[-1], set(written)) == ("report.json", set(FILES))
    assert {one.name: one.read_bytes() for one in (tmp_path / "new" / "out").iterdir()} == FILES


@pytest.mark.parametrize(
    "name", ["../escaped", "/tmp/escaped", "a/b", "..", ".hidden", "", "a\nb", "a\x00b", "x" * 200]
)
def test_a_name_that_is_no_plain_file_name_is_refused_before_anything_is_written(store, kept, tmp_path, name):
    kept({**FILES, name: b"x"})
    with pytest.raises(FetchError, match="nothing of them was written"):
        fetch(store, "c-1", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "escaped").exists()


def test_far_too_many_files_are_refused(store, kept, tmp_path):
    kept({f"f{number}": b"" for number in range(500)})
    with pytest.raises(FetchError, match="500 files"):
        fetch(store, "c-1", tmp_path)


def test_results_that_are_gone_say_for_how_long_they_are_kept(store, tmp_path):
    with pytest.raises(FetchError, match="24 h"):
        fetch(store, "c-1", tmp_path)
    assert "no longer in Redis" in why_no_report(store, "c-1")


def test_a_folder_that_cannot_be_written_leaves_no_report_json_that_stands_for_all(store, kept, tmp_path):
    kept(FILES)
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError, match=r"report\.html"):
        fetch(store, "c-1", tmp_path)
    assert not (tmp_path / "report.json").exists()
    assert [one for one in tmp_path.iterdir() if one.name.endswith(".new")] == []


def test_why_there_is_no_report_is_what_the_coordinator_wrote_instead(store, kept):
    kept({"error.txt": "the disk is full\n"})
    assert why_no_report(store, "c-1") == "the disk is full"
    kept(FILES)
    assert why_no_report(store, "c-1") == ""
