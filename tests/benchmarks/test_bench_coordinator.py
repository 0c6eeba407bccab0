"""The benchmark of the coordinator for a short while: all that its workers report arrives and is counted."""

import pytest

SHARDS = 60


@pytest.fixture
def bench(script):
    return script("bench_coordinator")


def test_what_simulated_workers_report_is_in_the_report_to_the_last_request(bench):
    found = bench.steady(shards=SHARDS, workers=20, seconds=6, sketches=4)
    assert found["scheduled"] == SHARDS * 6 * bench.RATE
    assert found["missing"] == 0 or found["lost"], "only of workers that stood still for a whole lease"
    assert found["cpu_share"] > 0
    assert 0 < found["redis_last_mib"] < 64


def test_every_shard_is_placed_once_and_every_task_sent(bench):
    found = bench.placing(shards=3 * SHARDS, workers=SHARDS)
    assert found["attempts"] >= 3 * SHARDS
    assert found["submit_to_placed_s"] <= found["submit_to_start_s"]
    assert found["submit_to_sent_s"] > 0


def test_merged_sketches_hold_every_request(bench):
    assert bench.merging(shards=50, rounds=3)["sketches_per_core_s"] > 0
