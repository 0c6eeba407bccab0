"""Quantities in the options of faults."""

import pytest

from workers.chaos.units import bytes_per_second, per_second, seconds, share, size_bytes
from workers.contract.errors import FaultError


def test_quantities_are_read_into_base_units():
    assert seconds("250ms", option="after") == 0.25
    assert seconds("0s", option="after") == 0.0
    assert per_second("90/min", option="rate", most=10) == pytest.approx(1.5)
    assert share("25%", option="share") == 0.25
    assert size_bytes("1.5KiB", option="size") == 1536
    assert bytes_per_second("100B/s", option="rate") == 100.0
    assert bytes_per_second("1kB/s", option="rate") == 1000.0


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (lambda text: seconds(text, option="after"), "5", "after '5': say a number and one of us ms s m h"),
        (lambda text: seconds(text, option="every", least_s=0.1), "1ms", "every 1ms: must be at least 0.1s"),
        (lambda text: per_second(text, option="rate", most=10), "0/s", "above 0/s and at most 10/s"),
        (lambda text: per_second(text, option="rate", most=10), "11/s", "above 0/s and at most 10/s"),
        (lambda text: per_second(text, option="rate", most=10), "ten/s", "e.g. 20/s"),
        (lambda text: share(text, option="share"), "101%", "at most 100%"),
        (lambda text: size_bytes(text, option="size"), "1 GiB", "e.g. 1MiB"),
        (lambda text: bytes_per_second(text, option="rate"), "1KiB", "say a size per second"),
        (lambda text: bytes_per_second(text, option="rate"), "0B/s", "say a size per second"),
        (lambda text: bytes_per_second(text, option="rate"), "1KiB/s/s", "say a size per second"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_options_name(read, text, words):
    with pytest.raises(FaultError) as refused:
        read(text)
    assert words in str(refused.value)
