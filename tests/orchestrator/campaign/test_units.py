import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.campaign import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("100us", 1e-4),
        ("10m", 600),
        ("8h", 28800),
        ("1d", 86400),
        ("0.1s", 0.1),
    ],
)
def test_durations_are_seconds(text, seconds):
    assert units.duration_s(text) == seconds


@pytest.mark.parametrize(("text", "per_s"), [("60/s", 60), ("90/min", 1.5), ("1000/h", 1000 / 3600)])
def test_rates_are_per_second(text, per_s):
    assert units.rate_per_s(text) == per_s


@pytest.mark.parametrize(
    ("text", "fraction"), [("99.9%", 0.999), ("0%", 0.0), ("100%", 1.0), ("2.5%", 0.025)]
)
def test_percentages_are_fractions(text, fraction):
    assert units.percent(text) == fraction


@pytest.mark.parametrize(
    ("text", "size"), [("64MiB", 64 << 20), ("64MB", 64_000_000), ("1.5KiB", 1536), ("7B", 7)]
)
def test_sizes_are_bytes(text, size):
    assert units.size_bytes(text) == size


@pytest.mark.parametrize(
    ("read", "value", "words"),
    [
        (units.duration_s, 10, "a bare number has no unit"),
        (units.duration_s, "10", "a bare number has no unit"),
        (units.duration_s, "10 s", "not a duration"),
        (units.duration_s, "0s", "longer than 0s"),
        (units.duration_s, "-1s", "negative"),
        (units.duration_s, "10/s", "not one of us ms s m h d"),
        (units.duration_s, None, "must be a duration"),
        (units.rate_per_s, "-2/s", "negative"),
        (units.rate_per_s, "0/s", "above 0"),
        (units.rate_per_s, 20, "a bare number has no unit"),
        (units.rate_per_s, "20/d", "not one of"),
        (units.percent, "101%", "at most 100%"),
        (units.percent, 0.5, "a bare number has no unit"),
        (units.size_bytes, "1mb", "not one of"),
        (units.name, "Peak Load", "no name"),
        (units.name, "-peak", "no name"),
        (units.name, "a" * 64, "no name"),
        (units.label, "a b", "no label"),
        (units.samples, "some", "none, all or a percentage"),
    ],
)
def test_what_is_wrong_is_said_in_words(read, value, words):
    with pytest.raises(units.UnitError, match=words):
        read(value)


def test_a_bare_number_is_answered_with_the_same_number_and_a_unit():
    with pytest.raises(units.UnitError) as caught:
        units.duration_s(10)
    assert caught.value.hint == "say 10s"


def test_zero_is_a_duration_where_it_is_allowed():
    assert units.duration_or_zero_s("0s") == 0.0


@given(st.integers(1, 10**6), st.sampled_from(sorted(units.DURATION_UNITS)))
def test_a_duration_is_its_number_times_its_unit(number, unit):
    assert units.duration_s(f"{number}{unit}") == pytest.approx(
        number * float(units.DURATION_UNITS[unit]), rel=1e-15
    )
