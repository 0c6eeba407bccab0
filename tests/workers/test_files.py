"""Data files come whole or not at all."""

import hashlib
import threading

import pytest

from workers.contract.broker import names
from workers.contract.errors import DataError, DrainingError
from workers.files import fetch


def store(client, chunks: list[bytes], sha256: str | None = None) -> str:
    sha256 = sha256 or hashlib.sha256(b"".join(chunks)).hexdigest()
    client.rpush(names.file_chunks(sha256), *chunks)
    return sha256


def test_a_file_is_fetched_once_and_then_kept(redis_client, tmp_path):
    sha256 = store(redis_client, [b"a" * 1_000_000, b"\x00b"])
    path = fetch(redis_client, sha256, folder=tmp_path / "files", name="rows.jsonl")
    assert path.read_bytes() == b"a" * 1_000_000 + b"\x00b"
    redis_client.flushall()
    assert fetch(redis_client, sha256, folder=tmp_path / "files", name="rows.jsonl") == path


@pytest.mark.parametrize("stored", [True, False])
def test_a_broken_or_missing_file_is_named_and_nothing_is_left(redis_client, tmp_path, stored):
    sha256 = "0" * 64
    if stored:
        store(redis_client, [b"other"], sha256)
    with pytest.raises(DataError, match=r"rows\.jsonl"):
        fetch(redis_client, sha256, folder=tmp_path, name="rows.jsonl")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sha256", ["../secret", "/{folder}/secret", "", "0" * 63, "A" * 64])
def test_what_is_no_sha256_leads_to_no_file_of_this_host(redis_client, tmp_path, sha256):
    (tmp_path / "secret").write_text("hush")
    with pytest.raises(DataError, match="is no sha256"):
        fetch(
            redis_client,
            sha256.format(folder=str(tmp_path).strip("/")),
            folder=tmp_path / "files",
            name="rows.jsonl",
        )
    assert not (tmp_path / "files").exists()


def test_chunks_larger_than_anybody_stores_fill_no_disk(redis_client, tmp_path):
    sha256 = store(redis_client, [b"a" * 2_000_000])
    with pytest.raises(DataError, match="over 1 MiB"):
        fetch(redis_client, sha256, folder=tmp_path / "files", name="rows.jsonl")
    assert not list((tmp_path / "files").iterdir())


def test_the_files_are_for_the_workers_own_user(redis_client, tmp_path):
    fetch(redis_client, store(redis_client, [b"key"]), folder=tmp_path / "files", name="client.key")
    assert (tmp_path / "files").stat().st_mode & 0o077 == 0


def test_a_file_that_is_too_large_for_redis_is_fetched_from_its_url_and_held_against_its_sha256(
    redis_client, tmp_path
):
    source = tmp_path / "rows.jsonl"
    source.write_bytes(b"x" * 3_000_000)
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    path = fetch(redis_client, sha256, folder=tmp_path / "kept", name=f"file://{source}")
    assert path.read_bytes() == source.read_bytes()
    with pytest.raises(DataError, match=r"rows\.jsonl: what came does not add up"):
        fetch(redis_client, "0" * 64, folder=tmp_path / "kept", name=f"file://{source}")
    assert list((tmp_path / "kept").iterdir()) == [path]


def test_a_url_that_cannot_be_read_is_named_without_its_login(redis_client, tmp_path):
    url = "memory://ada:secret@nowhere/rows.jsonl"
    with pytest.raises(DataError, match="cannot be fetched by this worker") as refused:
        fetch(redis_client, "0" * 64, folder=tmp_path, name=url)
    assert "nowhere/rows.jsonl" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_worker_that_is_to_leave_ends_its_download_and_leaves_nothing(redis_client, tmp_path):
    source = tmp_path / "large.jsonl"
    source.write_bytes(bytes(1024))
    stop = threading.Event()
    stop.set()
    with pytest.raises(DrainingError):
        fetch(redis_client, "0" * 64, folder=tmp_path / "kept", name=f"file://{source}", stop=stop)
    assert not list((tmp_path / "kept").iterdir())
