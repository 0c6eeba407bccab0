"""What a run recorded as series: counted by hand from a handful of seconds."""

import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.rules.series import COLUMNS, RecordedError, recorded, share_below
from workers.contract.facts import Gauged, encode_fact

START_S = 1_000.5


def intervals(*rows):
    """A parquet file of rows (second, outcomes, ok) of one load; latencies of 50 ms."""
    frame = pd.DataFrame(
        [
            {
                "phase": "p", "activity": "peak", "group": group, "outcomes": outcomes, "second": second,
                "start_s": START_S + second, "ok": ok, "completions": ok, "in_flight": 3,
                "latency_p50_s": 0.05, "latency_p90_s": 0.05, "latency_p99_s": 0.05, "latency_max_s": 0.05,
                "latency_mean_s": 0.05,
            }
            for second, group, outcomes, ok in rows
        ],
        columns=list(COLUMNS),
    )  # fmt: skip
    body = io.BytesIO()
    frame.to_parquet(body, index=False)
    return body.getvalue()


def one_of(found, name, **labels):
    (series,) = [
        one for one in found.series if one.name == name and labels.items() <= dict(one.labels).items()
    ]
    return series


def test_requests_add_up_by_outcome_and_those_of_other_groups_are_not_counted_twice():
    found = recorded(
        intervals(
            (0, "warmup", "ok=10", 10), (1, "judged", "http_503=2 ok=8", 8), (1, "tag=a", "ok=8", 8),
            (3, "judged", "http_503=1 timeout=4", 0),
        ),
        [],
    )  # fmt: skip
    ok = one_of(found, "shakeout_requests_total", outcome="ok")
    bad = one_of(found, "shakeout_requests_total", outcome="http_503", code="503")
    assert (ok.by_second, bad.by_second) == ({0: 0.0, 1: 10.0, 2: 18.0}, {0: 0.0, 2: 2.0, 4: 3.0})
    assert "code" not in dict(one_of(found, "shakeout_requests_total", outcome="timeout").labels)
    assert found.start_s == 1000.0


def test_latencies_are_buckets_that_a_histogram_quantile_can_read():
    found = recorded(intervals((0, "judged", "ok=10", 10)), [])
    buckets = [one for one in found.series if one.name == "shakeout_request_duration_seconds_bucket"]
    by_le = {dict(one.labels)["le"]: one.by_second[1] for one in buckets}
    assert (by_le["0.025"], by_le["0.05"], by_le["0.1"], by_le["+Inf"]) == (
        pytest.approx(2.5),
        10.0,
        10.0,
        10.0,
    )
    assert one_of(found, "shakeout_request_duration_seconds_count").by_second[1] == 10.0
    assert one_of(found, "shakeout_request_duration_seconds_sum").by_second[1] == pytest.approx(0.5)


def test_gauges_that_the_campaign_read_keep_their_own_names_and_labels():
    fact = Gauged(
        attempt="a", gauge='chat vllm:num_requests_running{pod="x"}', start_s=1002.0, values=(4.0, None, 6.0)
    )
    monitor = Gauged(attempt="a", gauge="prometheus", start_s=1002.0, values=(1.0,))
    found = recorded(intervals((0, "judged", "ok=1", 1)), [encode_fact(fact), encode_fact(monitor)])
    gauge = one_of(found, "vllm:num_requests_running")
    assert gauge.labels == (("pod", "x"), ("target", "chat"))
    assert (gauge.by_second, gauge.counter) == ({2: 4.0, 4: 6.0}, False)
    assert found.seconds >= 6


@given(
    st.lists(st.floats(0.001, 30), min_size=4, max_size=4).map(sorted),
    st.lists(st.floats(0.0001, 60), min_size=2, max_size=20).map(sorted),
)
def test_a_larger_bound_never_has_fewer_below_and_quantiles_are_met(quantiles, bounds):
    keys = ("latency_p50_s", "latency_p90_s", "latency_p99_s", "latency_max_s")
    row = dict(zip(keys, quantiles, strict=True))
    shares = [share_below(row, bound) for bound in bounds]
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
    for share, key in zip((0.5, 0.9, 0.99, 1.0), keys, strict=True):
        assert share_below(row, row[key]) >= share - 1e-9


@pytest.mark.parametrize("body", [b"", b"PAR1 nonsense", None])
def test_what_holds_no_run_is_named(body):
    with pytest.raises(RecordedError, match=r"intervals\.parquet"):
        recorded(intervals() if body is None else body, [])
