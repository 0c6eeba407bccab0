"""Data files of a campaign on their way to the workers: through Redis by content, or by their URL."""

import hashlib

import fsspec
import pytest

from orchestrator.campaign.load import load_campaign_text
from orchestrator.errors import UsageError
from orchestrator.submit import files
from orchestrator.submit.files import local_copy, store_files
from orchestrator.submit.submit import golden_cases
from workers.contract.broker import names
from workers.contract.errors import DataError
from workers.files import fetch

ROW = b'{"id": "a", "request": {"messages": []}, "expected": {"content": ""}}\n'
REGRESSION = """
campaign: golden
seed: 1
targets:
  chat: {protocol: openai-chat, model: demo, url: "http://127.0.0.1:9"}
phases:
  - name: smoke
    activities:
      - {name: golden, kind: regression, target: chat, golden: "memory://sets/chat.jsonl", repeats: 3}
"""


@pytest.fixture
def small(monkeypatch):
    """Redis takes files of up to 10 bytes."""
    monkeypatch.setattr(files, "MOST_BYTES", 10)


@pytest.fixture
def behind_memory():
    def put(name, body):
        fsspec.filesystem("memory").pipe_file(f"/sets/{name}", body)
        return f"memory://sets/{name}"

    return put


def test_a_file_is_stored_once_in_chunks_and_kept_for_two_days_from_the_last_submission(
    redis_client, tmp_path
):
    body = bytes(range(256)) * 5000
    (tmp_path / "rows.jsonl").write_bytes(body)
    sha256 = hashlib.sha256(body).hexdigest()
    key = names.file_chunks(sha256)
    for _ in range(2):
        assert store_files(redis_client, tmp_path, ("rows.jsonl",)) == {"rows.jsonl": (sha256, len(body))}
        assert redis_client.llen(key) == 2
        assert files.KEPT_S - 60 < redis_client.ttl(key) <= files.KEPT_S
        redis_client.expire(key, 5)


def test_a_file_that_is_to_stay_for_longer_does(redis_client):
    sha256 = hashlib.sha256(ROW).hexdigest()
    for for_s in (1000, 2000, 10):
        files.keep_chunks(redis_client, sha256, [ROW], for_s=for_s)
    assert 1900 < redis_client.ttl(names.file_chunks(sha256)) <= 2000


def test_an_empty_file_travels_too(redis_client, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    ((sha256, size),) = store_files(redis_client, tmp_path, ("empty",)).values()
    assert (size, fetch(redis_client, sha256, folder=tmp_path / "kept", name="empty").read_bytes()) == (
        0,
        b"",
    )


def test_a_small_file_behind_a_url_goes_through_redis_so_that_workers_need_no_way_to_it(
    redis_client, tmp_path, behind_memory
):
    url = behind_memory("rows.jsonl", ROW)
    ((sha256, _),) = store_files(redis_client, tmp_path, (url,)).values()
    fsspec.filesystem("memory").rm_file("/sets/rows.jsonl")
    assert fetch(redis_client, sha256, folder=tmp_path, name=url).read_bytes() == ROW


def test_a_large_file_behind_a_url_is_fetched_by_each_worker_and_held_against_its_sha256(
    redis_client, tmp_path, behind_memory, small
):
    url = behind_memory("large.jsonl", ROW)
    ((sha256, size),) = store_files(redis_client, tmp_path, (url,)).values()
    assert (sha256, size) == (hashlib.sha256(ROW).hexdigest(), len(ROW))
    assert not redis_client.exists(names.file_chunks(sha256))
    assert fetch(redis_client, sha256, folder=tmp_path / "one", name=url).read_bytes() == ROW
    behind_memory("large.jsonl", ROW + b"x")
    with pytest.raises(DataError, match="does not add up to sha256"):
        fetch(redis_client, sha256, folder=tmp_path / "two", name=url)
    assert not list((tmp_path / "two").iterdir())


def test_a_large_local_file_is_refused_with_the_way_out(redis_client, tmp_path, small):
    (tmp_path / "large.jsonl").write_bytes(ROW)
    with pytest.raises(UsageError, match=r"large\.jsonl is larger than .*say its URL"):
        store_files(redis_client, tmp_path, ("large.jsonl",))


@pytest.mark.parametrize("path", ["nowhere.jsonl", "memory://sets/nowhere.jsonl", "s4://bucket/rows.jsonl"])
def test_a_file_that_cannot_be_read_is_named(redis_client, tmp_path, path):
    with pytest.raises(UsageError, match=r"nowhere\.jsonl|no such kind of URL"):
        store_files(redis_client, tmp_path, (path,))


def test_a_worker_that_cannot_reach_a_url_says_so_by_name(redis_client, tmp_path):
    with pytest.raises(DataError, match=r"memory://sets/gone cannot be fetched by this worker: FileNotFound"):
        fetch(redis_client, "0" * 64, folder=tmp_path, name="memory://sets/gone")


def test_golden_cases_behind_a_url_are_counted(tmp_path, behind_memory):
    behind_memory("chat.jsonl", ROW + ROW.replace(b'"a"', b'"b"'))
    campaign = load_campaign_text(REGRESSION, base=tmp_path).campaign
    assert golden_cases(campaign, tmp_path) == {"golden": 6}
    behind_memory("chat.jsonl", b"{}\n")
    with pytest.raises(DataError, match=r"memory://sets/chat\.jsonl:1: "):
        golden_cases(campaign, tmp_path)


def test_a_copy_of_what_is_behind_a_url_is_gone_afterwards(tmp_path, behind_memory):
    with local_copy(tmp_path, behind_memory("rows.jsonl", ROW)) as path:
        assert path.read_bytes() == ROW
    assert not path.exists()
