"""What is read from other tools' words is what they said."""

import shutil

import pytest

HEY = """
Latency distribution:
  50% in 0.0013 secs
  90% in 0.0041 secs
  99% in 0.0077 secs

Status code distribution:
  [200]\t4991 responses
  [500]\t9 responses
"""


def test_quantiles_of_a_histogram_are_the_least_values_that_enough_do_not_exceed(script):
    told = script("bench_locust")._of_histogram({1.0: 500, 2.0: 400, 10.0: 90, 100.0: 10})
    assert told == {"p50_s": 0.001, "p90_s": 0.002, "p99_s": 0.010, "p99.9_s": 0.1}


def test_hey_is_read_with_its_quantiles_and_its_failures(script, monkeypatch):
    module = script("bench_locust")
    monkeypatch.setattr(module, "tree_cost", lambda *_, **__: module.Cost(0.2, 1.0, 0, HEY))
    found = module.hey(script("truth_server").Truth(1, 1), seconds=1.0, rate=5000.0, users=50)
    assert (found["requests"], found["failed"], found["cpu_us"]) == (5000, 9, pytest.approx(40.0))
    assert (found["p50_s"], found["p99_s"]) == (0.0013, 0.0077)


@pytest.mark.skipif(
    shutil.which("cc") is None or shutil.which("wrk") is None,
    reason="needs gcc and wrk: apt-get install gcc wrk",
)
def test_wrk_says_as_many_requests_as_the_server_saw(script):
    module = script("bench_locust")
    with script("truth_server").truth_server() as truth:
        found = module.wrk(truth, seconds=1.0, rate=None, users=4)
        assert found["requests"] <= truth.count() <= found["requests"] + 4
    assert found["p99_s"] >= found["p50_s"] > 0
