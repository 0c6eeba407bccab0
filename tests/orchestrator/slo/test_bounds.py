from orchestrator.slo.bounds import bounds_of
from orchestrator.slo.parse import parse


def ids(*texts):
    return [bound.id for bound in bounds_of([parse(text, place="slos") for text in texts])]


def test_every_quantile_and_goodput_is_counted_once():
    assert ids(
        "p99(latency) < 250ms",
        "p95(latency) < 250ms during quiet",
        "p99(ttft) <= 1s",
        "goodput(ttft < 500ms, tpot < 50ms) >= 90%",
    ) == ["latency<0.25", "ttft<=1", "goodput(ttft<0.5,tpot<0.05)"]


def test_a_lower_limit_is_counted_as_the_upper_one_that_it_mirrors():
    assert ids("p50(latency) > 100ms", "p50(latency) >= 100ms") == ["latency<=0.1", "latency<0.1"]


def test_scalars_outcomes_means_and_telemetry_need_no_bound():
    assert ids("success_rate >= 99%", "never(http_5xx)", "mean(latency) < 1s", "p95(host.cpu) < 80%") == []
