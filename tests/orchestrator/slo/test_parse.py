import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ExpressionError
from orchestrator.slo import names
from orchestrator.slo.expressions import (
    Alert,
    Comparison,
    Drift,
    Expression,
    Gauge,
    Goodput,
    Limit,
    Outcomes,
    Quantile,
    Scalar,
    Stat,
    Suffixes,
    is_sampled,
    success_objectives,
)
from orchestrator.slo.parse import parse


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("p99.9(latency)<250ms", Comparison(Quantile(0.999, "latency"), "<", 0.25, "s")),
        ("mean( itl ) <= 20ms", Comparison(Stat("mean", "itl"), "<=", 0.02, "s")),
        ("success_rate >= 99.9%", Comparison(Scalar("success_rate"), ">=", 0.999, "fraction")),
        ("throughput > 90/min", Comparison(Scalar("throughput"), ">", 1.5, "/s")),
        ("cost_per_1k_requests < $0.002", Comparison(Scalar("cost_per_1k_requests"), "<", 0.002, "USD")),
        ("cost_per_1k_tokens < 0.02 EUR", Comparison(Scalar("cost_per_1k_tokens"), "<", 0.02, "EUR")),
        ("max(target.rss) < 2GiB", Comparison(Stat("max", "target.rss"), "<", 2 * 1024**3, "B")),
        ("mean(host.memory_used) < 80%", Comparison(Stat("mean", "host.memory_used"), "<", 0.8, "fraction")),
        ("drift(psi, scores) < 0.2", Comparison(Drift("psi", "scores"), "<", 0.2, "")),
        (
            "goodput(ttft < 500ms, tpot <= 50ms) >= 90%",
            Comparison(Goodput((Limit("ttft", "<", 0.5), Limit("tpot", "<=", 0.05))), ">=", 0.9, "fraction"),
        ),
        ("never(http_5xx, timeout)", Outcomes(False, ("http_5xx", "timeout"))),
        ("always(http_401,http_403)", Outcomes(True, ("http_401", "http_403"))),
        ("alert(X) never fires", Alert("X", "never_fires", None)),
    ],
)
def test_each_form_is_read_in_base_units(text, body):
    assert parse(text, place="slos").body == body


def test_alerts_and_gauges_of_a_fault_are_read():
    assert parse("alert(Down) fires within 2m", place="expect").body == Alert("Down", "fires", 120)
    gauge = parse('metric(vllm:num{pod="a b", zone="x"}) returns within 10s', place="expect").body
    assert gauge == Gauge("vllm:num", (("pod", "a b"), ("zone", "x")), 10)


def test_suffixes_stand_in_any_order():
    one = parse('p99(latency) < 1s over 5m during twice-peak for country="D E"', place="slos")
    two = parse('p99(latency) < 1s for country="D E" during twice-peak over 5m', place="slos")
    assert one == two
    assert one.suffixes == Suffixes((300,), "twice-peak", tag=("country", "D E"))


def test_burn_rate_takes_two_windows_longer_first():
    assert parse("burn_rate < 6 over 6h and 30m", place="slos").suffixes.over_s == (21600, 1800)


@pytest.mark.parametrize(
    ("text", "place", "column", "words"),
    [
        ("", "slos", 1, "empty"),
        ("latency < 1s", "slos", 1, r"say p99\(latency\) or mean\(latency\)"),
        ("lag < 1s", "slos", 1, "validity"),
        ("succes_rate >= 99%", "slos", 1, "did you mean success_rate"),
        ("p99(latencie) < 1s", "slos", 5, "did you mean latency"),
        ("p100(latency) < 1s", "slos", 1, "between p0 and p100"),
        ("p99(latency) 1s", "slos", 14, "needs < <= > or >="),
        ("p99(latency) < 250", "slos", 16, "a bare number has no unit"),
        ("p99(latency) < 250 ms", "slos", 16, "no blank before the unit"),
        ("p99(latency) < 5%", "slos", 16, "wrong unit"),
        ("p99(latency) < -1s", "slos", 16, "needs a bound"),
        ("success_rate >= 101%", "slos", 17, "at most 100%"),
        ("success_rate >= 100%", "slos", 1, "use never"),
        ("goodput(ttft < 1s) >= 100%", "slos", 1, "use never"),
        ("goodput(ttft < 1s", "slos", 18, "a comma splits"),
        ("tpot < 50ms) >= 90%", "slos", 1, "has many values"),
        ("goodput(ttft > 1s) > 90%", "slos", 14, "a limit needs"),
        ("goodput(itl < 1s) > 90%", "slos", 9, "say tpot"),
        ("never(http_6xx)", "slos", 7, "unknown outcome"),
        ("drift(chi, scores) < 1", "slos", 7, "unknown method"),
        ("throughput > $5", "slos", 14, "not measured in money"),
        ("p99(latency) < 1s sometimes", "slos", 19, "not understood"),
        ("p99(latency) < 1s over 1m over 2m", "slos", 27, "stands twice"),
        ("p99(latency) < 1s during a outside faults", "slos", 28, "exclude each other"),
        ("burn_rate < 6", "slos", 1, "needs a window"),
        ("burn_rate < 6 over 30m and 6h", "slos", 28, "longer window stands first"),
        ("p99(latency) < 1s over 2h and 1h", "slos", 1, "only burn_rate"),
        ("recovery < 5s", "slos", 1, "stands in `expect`"),
        ("alert(X) fires within 1m", "slos", 1, "stands in `expect`"),
        ("alert(X) fires", "expect", 15, "needs 'within'"),
        ("pass_rate >= 9%", "abort_if", 1, "known when its activity ends"),
        ("never(timeout)", "abort_if", 1, "compares values"),
        ("p99(latency) < 1s during x", "while", 1, "looks at the present"),
        ("p99(latency) < 1s over 1m", "while", 1, "judged whole"),
        ("x" * 1001, "slos", 1, "longer than 1000"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_column(text, place, column, words):
    with pytest.raises(ExpressionError, match=words) as caught:
        parse(text, place=place)
    assert caught.value.column == column


def test_what_is_sampled_and_what_is_counted_follows_the_table():
    sampled = ["p99(latency) < 1s", "mean(ttft) < 1s", "success_rate >= 9%", "goodput(ttft < 1s) > 9%"]
    counted = [
        "max(latency) < 1s",
        "p99(gpu.power) < 300W",
        "throughput > 1/s",
        "never(timeout)",
        "pass_rate > 1%",
    ]
    assert all(is_sampled(parse(text, place="slos")) for text in sampled)
    assert not any(is_sampled(parse(text, place="slos")) for text in counted)


def test_an_objective_is_a_success_rate_that_stands_for_all():
    texts = ["success_rate >= 99%", "success_rate >= 90% during x", "success_rate < 50%", "p99(latency) < 1s"]
    assert success_objectives([parse(text, place="slos") for text in texts]) == (0.99,)


bounds = st.integers(1, 10**9).map(lambda thousandths: thousandths / 1000)
words = st.text(string.ascii_letters + "_", min_size=1, max_size=8)
series = st.sampled_from(sorted(names.REQUEST_SERIES))
per_request = st.sampled_from(sorted(names.PER_REQUEST_SERIES))
quantiles = st.builds(Quantile, st.integers(1, 9999).map(lambda n: n / 10_000), series)
stats = st.builds(Stat, st.sampled_from(["mean", "max", "min"]), series)
limits = st.builds(Limit, per_request, st.sampled_from(["<", "<="]), bounds)
goodputs = st.builds(Goodput, st.lists(limits, min_size=1, max_size=3).map(tuple))
operators = st.sampled_from(["<", "<=", ">", ">="])
shares = st.integers(1, 9999).map(lambda n: n / 10_000)
comparisons = st.one_of(
    st.builds(Comparison, quantiles | stats, operators, bounds, st.just("s")),
    st.builds(Comparison, goodputs, operators, shares, st.just("fraction")),
    st.builds(Comparison, st.just(Scalar("throughput")), operators, bounds, st.just("/s")),
    st.builds(
        Comparison, st.just(Scalar("cost_per_1k_tokens")), operators, bounds, st.sampled_from(["USD", "EUR"])
    ),
)
outcomes = st.builds(
    Outcomes, st.booleans(), st.lists(st.sampled_from(["ok", "http_5xx", "http_401"]), min_size=1).map(tuple)
)
suffixes = st.builds(
    Suffixes,
    bounds.map(lambda window: (window,)) | st.just(()),
    st.none() | st.sampled_from(["peak", "a-1", "5xx"]),
    st.just(value=False),
    st.none() | st.tuples(words, st.text(string.printable.replace('"', ""), max_size=8)),
)


def written(expression):
    """Canonical text: one blank between words, bounds in base units, never in exponents."""
    body = expression.body
    if isinstance(body, Outcomes):
        text = f"{'always' if body.always else 'never'}({', '.join(body.names)})"
    else:
        text = f"{value_of(body.value)} {body.op} {amount(body.bound, body.unit)}"
    suffixes = expression.suffixes
    text += "".join(f" over {amount(window, 's')}" for window in suffixes.over_s)
    text += f" during {suffixes.during}" if suffixes.during else ""
    return text + (f' for {suffixes.tag[0]}="{suffixes.tag[1]}"' if suffixes.tag else "")


def value_of(value):
    match value:
        case Quantile(q=q, series=series):
            return f"p{decimal(q * 100)}({series})"
        case Stat(which=which, series=series):
            return f"{which}({series})"
        case Goodput(limits=limits):
            inside = (f"{one.series} {one.op} {amount(one.bound, 's')}" for one in limits)
            return f"goodput({', '.join(inside)})"
        case _:
            return value.name


def amount(value, unit):
    if unit == "fraction":
        return f"{decimal(value * 100)}%"
    return {"USD": f"${decimal(value)}", "EUR": f"{decimal(value)} EUR"}.get(unit, f"{decimal(value)}{unit}")


def decimal(value):
    return f"{value:.12f}".rstrip("0").rstrip(".")


@given(st.builds(Expression, st.just(""), comparisons | outcomes, suffixes))
def test_reading_what_was_written_gives_the_same_expression(expression):
    text = written(expression)
    assert parse(text, place="slos") == expression
    assert written(parse(text, place="slos")) == text


def column_of_refusal(text):
    try:
        parse(text, place="slos")
    except ExpressionError as error:
        return error.column
    return 1


@given(st.text(string.printable, max_size=60) | st.text("p9(latency) <1s%goodput,over", max_size=60))
def test_any_text_is_read_or_refused_within_its_length(text):
    assert 1 <= column_of_refusal(text) <= len(text) + 1


def test_a_tags_value_may_be_a_number_without_quotes():
    for text in ("p99(ttft) < 1s for turn=2", 'p99(ttft) < 1s for turn="2" over 10s'):
        assert parse(text, place="slos").suffixes.tag == ("turn", "2")
    with pytest.raises(ExpressionError, match="in double quotes where it is no word"):
        parse("p99(ttft) < 1s for turn=2nd", place="slos")
