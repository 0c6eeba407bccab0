"""An empty loop tells when the machine did not let it run."""

import os


def test_what_is_found_is_of_the_span_that_was_watched(script):
    bench = script("bench_machine")
    before = os.sched_getaffinity(0)
    try:
        found = bench.stalls(min(before), 0.3)
    finally:
        os.sched_setaffinity(0, before)
    assert 0 <= found["share"] < 1 or found["longest_s"] > 0.3
    assert (found["longest_s"] == 0) == (found["per_s"] == 0)
    assert found["longest_s"] == 0 or found["longest_s"] >= bench.LEAST_S
    assert found["share"] * 0.3 >= found["longest_s"] * 0.99
