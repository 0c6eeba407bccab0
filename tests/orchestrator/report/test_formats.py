import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report import formats


@pytest.mark.parametrize(
    ("value_s", "text"),
    [
        (0.0413, "41.3 ms"),
        (0.9996, "1.00 s"),
        (0.00999999, "10.0 ms"),
        (75, "75.0 s"),
        (119.99, "2.00 min"),
        (5400, "90.0 min"),
        (28800, "8.00 h"),
        (4.2e-5, "42.0 µs"),
        (-0.0021, "-2.10 ms"),
        (0, "0 s"),
        (None, "–"),
    ],
)
def test_a_duration_has_a_unit_that_fits_and_three_digits(value_s, text):
    assert formats.duration(value_s) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.9985, "99.85%"), (1.0, "100%"), (0.0, "0%"), (0.5, "50%"), (0.99999, "99.999%"), (1.464, "146%")],
)
def test_a_share_has_the_digits_that_tell_it_from_all_and_nothing(value, text):
    assert formats.share(value) == text


@given(st.floats(min_value=1e-9, max_value=1e15))
def test_no_number_is_written_with_an_exponent_and_none_is_off_by_more_than_its_digits(value):
    text = formats.significant(value)
    assert "e" not in text
    assert float(text.replace(",", "")) == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("text", "shorter"),
    [
        ("1.20 s", "1.2 s"),
        ("50.0/s", "50/s"),
        ("100 ms", "100 ms"),
        ("1,000/s", "1,000/s"),
        ("0.100%", "0.1%"),
    ],
)
def test_bounds_and_axes_drop_idle_zeros_only(text, shorter):
    assert formats.plain(text) == shorter


def test_quantities_take_the_unit_of_the_claim():
    said = [formats.quantity(2.0, unit) for unit in ("s", "/s", "", "J", "requests", "B", "EUR")]
    assert said == ["2.00 s", "2.00/s", "2", "2.00 J", "2 requests", "2 B", "2.000 EUR"]
