import pytest

from orchestrator.slo.words import count, percent, percent_down, quantity, seconds


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0%"),
        (1, "100%"),
        (0.004, "0.4%"),
        (0.999, "99.9%"),
        (0.00012, "0.012%"),
        (0.5, "50%"),
        (0.9995, "99.95%"),
    ],
)
def test_shares_are_said_with_as_many_digits_as_tell_them_from_none_and_all(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.992354, "99.2%"), (0.99899, "99.8%"), (0.9995399, "99.95%"), (0.5, "50.0%")]
)
def test_what_data_supports_is_rounded_down(share, text):
    assert percent_down(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.25, "250 ms"), (75, "75 s"), (5400, "90 min"), (28800, "8 h"), (0.0002, "200 µs"), (0, "0 s")],
)
def test_times_are_said_in_a_unit_that_fits(value, text):
    assert seconds(value) == text


def test_other_quantities_carry_their_unit():
    assert quantity(3 * 2**30, "B") == "3 GiB"
    assert quantity(512, "B") == "512 B"
    assert quantity(1234.5, "/s") == "1,234.5/s"
    assert quantity(0.02, "USD") == "0.02 USD"
    assert count(1, "request") == "1 request"
    assert count(12000, "request") == "12,000 requests"


def test_a_share_just_beyond_its_bound_is_not_said_to_be_the_bound():
    assert percent(0.98996) == "99%"
    assert percent(0.98996, apart_from=0.99) == "98.996%"
    assert percent(0.99, apart_from=0.99) == "99%"
