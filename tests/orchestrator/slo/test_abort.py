import pytest

from orchestrator.slo.abort import breached
from orchestrator.slo.bounds import bounds_of
from orchestrator.slo.evidence import Second, SeriesSum
from orchestrator.slo.parse import parse
from workers.contract.bounds import BoundCount


def rows(*, bad=lambda s: 0, span=(0, 120), n=100, bounds=None):
    return [
        Second(
            s,
            outcomes={"ok": n - bad(s), "http_503": bad(s)},
            bounds=bounds(s) if bounds else {},
            sums={"latency": SeriesSum(n, n * 0.1, 0.05, 0.2)},
        )
        for s in range(*span)
    ]


def stops(text, pooled, *, now_s, slos=()):
    return breached(
        parse(text, place="abort_if"), pooled, now_s=now_s, slos=[parse(one, place="slos") for one in slos]
    )


def test_it_stops_where_the_trailing_window_is_bad():
    text = "success_rate < 80% over 1m"
    bad = rows(bad=lambda s: 90 if s >= 60 else 0)
    assert stops(text, bad, now_s=60.5) is None
    found = stops(text, bad, now_s=100.2)
    assert found is not None
    assert "success_rate was 40% over the last 60 s" in found


def test_it_never_stops_before_its_window_has_run():
    assert stops("success_rate < 80% over 1m", rows(bad=lambda s: 100), now_s=59.9) is None
    assert stops("success_rate < 80%", rows(bad=lambda s: 100), now_s=59.9) is None
    assert stops("success_rate < 80%", rows(bad=lambda s: 100), now_s=60.0) is not None
    assert stops("success_rate < 80% over 10s", rows(bad=lambda s: 100), now_s=10.0) is not None


def test_a_full_window_without_any_data_stops():
    found = stops("success_rate < 80% over 30s", rows(span=(0, 60)), now_s=95.0)
    assert found is not None
    assert "no request was answered or failed" in found
    assert stops("success_rate < 80% over 30s", rows(span=(0, 60)), now_s=80.0) is None


def test_rows_of_several_activities_are_pooled():
    pooled = [*rows(bad=lambda s: 100), *rows(n=900)]
    assert stops("success_rate < 80% over 1m", pooled, now_s=100) is None
    assert stops("success_rate < 95% over 1m", pooled, now_s=100) is not None


def test_a_burn_rate_stops_where_all_its_windows_burn():
    text = "burn_rate > 14.4 over 30s and 5s"
    slos = ["success_rate >= 99%"]
    assert stops(text, rows(bad=lambda s: 20), now_s=100, slos=slos) is not None
    assert stops(text, rows(bad=lambda s: 20 if s < 94 else 0), now_s=100, slos=slos) is None
    with pytest.raises(ValueError, match="needs a success_rate objective"):
        stops(text, rows(), now_s=100)


def test_over_activities_with_different_objectives_the_strictest_budget_burns():
    slos = ["success_rate >= 50%", "success_rate >= 99%"]
    assert stops("burn_rate > 14.4 over 30s", rows(bad=lambda s: 20), now_s=100, slos=slos) is not None


@pytest.mark.parametrize(("over", "expected"), [(2, True), (1, False)])
def test_a_quantile_stops_where_more_than_its_share_is_beyond(over, expected):
    text = "p99(latency) > 2s over 1m"
    (bound,) = bounds_of([parse(text, place="abort_if")])
    pooled = rows(bounds=lambda s: {bound.id: BoundCount(100, over, over)})
    assert (stops(text, pooled, now_s=100) is not None) == expected


def test_rates_and_means_are_plain_values():
    assert stops("throughput < 200/s over 10s", rows(), now_s=50) is not None
    assert stops("throughput < 90/s over 10s", rows(), now_s=50) is None
    assert stops("mean(latency) > 50ms over 10s", rows(), now_s=50) is not None
    assert stops("max(latency) > 250ms over 10s", rows(), now_s=50) is None
    assert stops("min(ttft) > 1s over 10s", rows(), now_s=50) is not None
