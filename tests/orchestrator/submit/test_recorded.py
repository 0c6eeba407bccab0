"""Recorded arrivals on their way: from a file through a real Redis to workers, and to whoever leads."""

import gc

import fsspec
import numpy as np
import pytest

from orchestrator.campaign.load import load_campaign, load_campaign_text
from orchestrator.coordinator.opening import open_run
from orchestrator.errors import ShakeoutError, UsageError
from orchestrator.plan import plan_of
from orchestrator.preview.preview import assumed_fleet, preview_of
from orchestrator.results.results import Results
from orchestrator.store.store import Store
from orchestrator.submit import recorded
from orchestrator.submit.files import KEPT_S
from orchestrator.submit.recorded import fetch_times, read_recordings, store_recordings, summaries
from orchestrator.submit.submit import submit
from workers.contract.broker import names
from workers.contract.errors import DataError
from workers.contract.files.traces import load, times_of
from workers.contract.schedule import OpenArrivals, cumulated, per_second
from workers.files import fetch

CAMPAIGN = """\
campaign: replay
seed: 1
targets:
  chat: {protocol: openai-chat, model: m, url: "http://127.0.0.1:9", timeout: 30s}
phases:
  - name: night
    activities:
      - {name: slow, kind: load, target: chat, arrivals: {process: trace, trace: t.csv}, data: t.csv}
      - name: fast
        kind: soak
        target: chat
        arrivals: {process: trace, trace: t.csv, speed: 4}
        data: t.csv
"""
TIMES_S = (0.0, 0.25, 0.25, 3.0, 7.5, 20.0)


@pytest.fixture
def folder(tmp_path):
    """A campaign of two activities that replay one trace."""
    rows = "".join(f"{1000 + at},50,{place + 1}\n" for place, at in enumerate(TIMES_S))
    (tmp_path / "t.csv").write_text("Timestamp,Request tokens,Response tokens\n" + rows)
    (tmp_path / "campaign.yaml").write_text(CAMPAIGN)
    return tmp_path


@pytest.fixture
def loaded(folder):
    return load_campaign(folder / "campaign.yaml")


def test_a_plan_knows_length_number_and_peak_of_what_was_recorded(loaded, folder):
    recordings = read_recordings(loaded.campaign, folder)
    plan = plan_of(loaded.campaign, seed=1, traces=summaries(recordings))
    slow, fast = plan.activity("slow"), plan.activity("fast")
    assert (slow.duration_s, fast.duration_s) == (20.001, 5.001)
    assert (slow.max_in_flight, fast.max_in_flight) == (3 * 30, 4 * 30)
    assert isinstance(fast.arrivals, OpenArrivals)
    assert per_second(fast.arrivals).tolist() == [4, 1, 0, 0, 0, 1]
    assert cumulated(fast.arrivals, 1.0) == 4
    assert plan.phases == plan_of(loaded.campaign, seed=2, traces=summaries(recordings)).phases


def test_without_its_trace_an_activity_is_planned_without_a_length(loaded):
    slow = plan_of(loaded.campaign, seed=1).activity("slow")
    assert (slow.arrivals, slow.duration_s) == (None, 0.0)


def test_a_preview_says_what_is_replayed_and_counts_it_exactly(loaded, folder):
    recordings = read_recordings(loaded.campaign, folder)
    fleet = assumed_fleet(loaded.campaign, workers=2, slots=2, host="h")
    preview = preview_of(loaded.campaign, seed=1, fleet=fleet, cases={}, traces=summaries(recordings))
    slow, fast = preview.phases[0].activities
    assert (preview.requests, preview.requests_exact, preview.duration_s) == (12, True, 20.001)
    assert (slow.peak_per_s, fast.peak_per_s) == (3, 4)
    assert "replays t.csv at 4 times its speed" in fast.note
    assert sum(preview.phases[0].rates_per_s) > 0
    assert preview.unfinished == ()


def test_a_trace_in_whole_seconds_is_said_to_come_in_bursts(folder):
    (folder / "t.csv").write_text("Timestamp,Request tokens,Response tokens\n5,1,1\n6,1,1\n6,1,1\n")
    loaded = load_campaign(folder / "campaign.yaml")
    recordings = read_recordings(loaded.campaign, folder)
    fleet = assumed_fleet(loaded.campaign, workers=1, slots=2, host="h")
    preview = preview_of(loaded.campaign, seed=1, fleet=fleet, cases={}, traces=summaries(recordings))
    assert "whole seconds, so its arrivals come in bursts" in preview.phases[0].activities[0].note


def test_a_file_is_read_once_for_all_that_one_command_asks(loaded, folder):
    first = read_recordings(loaded.campaign, folder)
    again = read_recordings(loaded.campaign, folder)
    assert first["slow"].packed is again["fast"].packed
    assert first["slow"].trace.sha256 == first["fast"].trace.sha256


def test_a_recording_behind_a_url_is_fetched(folder):
    fsspec.filesystem("memory").pipe_file("/traces/t.csv", (folder / "t.csv").read_bytes())
    text = CAMPAIGN.replace("trace: t.csv", "trace: memory://traces/t.csv")
    recordings = read_recordings(load_campaign_text(text).campaign, folder)
    assert recordings["slow"].times.tolist() == [round(at * 1e9) for at in TIMES_S]


def test_times_that_are_too_many_for_redis_are_refused(monkeypatch, loaded, folder):
    monkeypatch.setattr(recorded, "MOST_BYTES", 10)
    (folder / "t.csv").write_text((folder / "t.csv").read_text() + "1030,1,1\n")
    with pytest.raises(UsageError, match=r"t.csv has too many arrivals"):
        read_recordings(loaded.campaign, folder)


def test_a_broken_trace_is_an_error_of_its_lines(loaded, folder):
    (folder / "t.csv").write_text("Timestamp,Request tokens,Response tokens\n5,1,1\n4,1,1\n")
    with pytest.raises(DataError, match=r"t.csv:3: Timestamp goes backwards"):
        read_recordings(loaded.campaign, folder)


def test_workers_and_leaders_get_the_times_from_redis(redis_client, loaded, folder, tmp_path):
    recordings = read_recordings(loaded.campaign, folder)
    store_recordings(redis_client, recordings.values(), for_s=KEPT_S)
    trace = recordings["fast"].trace
    times = recordings["fast"].times.tolist()
    key = names.file_chunks(trace.sha256)
    assert KEPT_S - 60 < redis_client.ttl(key) <= KEPT_S
    path = fetch(redis_client, trace.sha256, folder=tmp_path / "files", name="times of t.csv")
    del recordings
    gc.collect()
    with pytest.raises(DataError):
        times_of(trace)
    held = fetch_times(redis_client, [trace])
    assert held[0].tolist() == times_of(trace).tolist() == times == [round(at * 1e9 / 4) for at in TIMES_S]
    del held
    assert load(trace, path).tolist() == times


def test_times_that_redis_lost_or_that_were_altered_are_not_taken(redis_client, loaded, folder):
    recordings = read_recordings(loaded.campaign, folder)
    store_recordings(redis_client, recordings.values(), for_s=KEPT_S)
    trace = recordings["slow"].trace
    key = names.file_chunks(trace.sha256)
    for spoil in (
        lambda: redis_client.lset(key, 0, b"x" * trace.size_bytes),
        lambda: redis_client.delete(key),
    ):
        spoil()
        with pytest.raises(ShakeoutError, match=r"the times of t.csv are no longer in Redis"):
            fetch_times(redis_client, [trace])


def test_times_outlast_the_campaign_that_needs_them_whoever_else_submits_the_same(valkey_url, folder):
    file = folder / "campaign.yaml"
    text = file.read_text()
    night = (
        "      - {name: long, kind: soak, target: chat, arrivals: {process: constant, rate: 1/s}, data: t.csv"
    )
    store = Store(valkey_url)
    for id_, more in (("long-1", night + ", duration: 90h}\n"), ("short-1", "")):
        file.write_text(text + more)
        submit(load_campaign(file), store=store, id_=id_, seed=1, by="ada", urls={})
    said = store.journal("long-1")[0].fact
    needed = [said.files["t.csv"][0], said.traces["slow"].sha256]
    assert all(store.client.ttl(names.file_chunks(sha256)) > KEPT_S + 89 * 3600 for sha256 in needed)


def test_the_next_leader_stands_on_the_same_schedule(valkey_url, loaded, tmp_path):
    store = Store(valkey_url)
    submit(loaded, store=store, id_="replay-1", seed=1, by="ada", urls={})
    runs = []
    for _ in range(2):
        store.client.delete(names.LEADER)
        assert store.lead()
        run = open_run("replay-1", store=store, results=Results(str(tmp_path / "runs")), send=lambda *_: None)
        arrivals = run.plan.activity("slow").arrivals
        assert isinstance(arrivals, OpenArrivals)
        runs.append(per_second(arrivals))
        del run, arrivals
        gc.collect()
    assert np.array_equal(*runs)
    assert runs[0].sum() == len(TIMES_S)
