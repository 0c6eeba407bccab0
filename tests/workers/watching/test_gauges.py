import pytest

from workers.contract.spec import GaugeSpec
from workers.watching.gauges import value_of

PAGE = """\
# HELP vllm:num_requests_running Running.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model="a",pod="x"} 3
vllm:num_requests_running{model="b",pod="x"} 4.5 1395066363000
vllm:num_requests_running_max 99
plain 7
broken{ 3
odd NaN
"""


def gauge(metric, *labels):
    return GaugeSpec(name=f"chat {metric}", target="chat", url="u", metric=metric, labels=labels)


@pytest.mark.parametrize(
    ("metric", "labels", "value"),
    [
        ("vllm:num_requests_running", (), 7.5),
        ("vllm:num_requests_running", (("model", "a"),), 3.0),
        ("vllm:num_requests_running", (("pod", "x"), ("model", "b")), 4.5),
        ("plain", (), 7.0),
    ],
)
def test_series_with_the_labels_are_added_up(metric, labels, value):
    assert value_of(gauge(metric, *labels), PAGE, "here").value == value


@pytest.mark.parametrize(
    ("metric", "labels", "why"),
    [
        (
            "vllm:num_requests_running",
            (("model", "c"),),
            "shows no vllm:num_requests_running with these labels",
        ),
        ("vllm:num_requests", (), "shows no vllm:num_requests"),
        ("odd", (), "odd is NaN"),
        ("broken", (), "broken cannot be read"),
    ],
)
def test_what_is_not_there_is_no_value_and_says_why(metric, labels, why):
    found = value_of(gauge(metric, *labels), PAGE, "here")
    assert found.value is None
    assert why in found.why
