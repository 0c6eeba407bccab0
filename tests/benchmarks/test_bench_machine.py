"""An empty loop tells when the machine did not let it run."""

import os
from types import SimpleNamespace

import pytest


def test_pauses_are_counted_from_the_first_that_is_no_interrupt(script, monkeypatch):
    bench = script("bench_machine")
    moments_s = iter((0.0, 0.1e-3, 0.3e-3, 5.3e-3, 5.4e-3, 7.4e-3, 0.5))
    clock = SimpleNamespace(perf_counter=lambda: next(moments_s))
    monkeypatch.setattr(bench, "time", clock)
    found = bench.stalls(min(os.sched_getaffinity(0)), 0.5)
    assert found["per_s"] == pytest.approx(3 / 0.5)
    assert found["longest_s"] == pytest.approx(0.5 - 7.4e-3)
    assert found["share"] == pytest.approx((5e-3 + 2e-3 + 0.5 - 7.4e-3) / 0.5)


@pytest.fixture(autouse=True)
def _cores_as_before():
    before = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, before)
