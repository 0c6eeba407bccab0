import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.protocols.protobuf import WireError, delimited, double, fields, number, signed, varint, varints


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_comes_back_as_it_was(value):
    assert [signed(one) for one in varints(varint(value))] == [value]


@pytest.mark.parametrize(
    ("value", "wire"), [(0, "00"), (1, "01"), (300, "ac02"), (-2, "feffffffffffffffff01")]
)
def test_integers_are_written_as_the_documentation_shows(value, wire):
    assert varint(value).hex() == wire


def test_fields_come_back_in_order_with_their_wire_types():
    data = number(1, 150) + delimited(2, b"testing") + double(3, 1.5) + b"\x25abcd" + number(2000, 1)
    assert list(fields(data)) == [
        (1, 0, 150), (2, 2, b"testing"), (3, 1, b"\0\0\0\0\0\0\xf8?"), (4, 5, b"abcd"), (2000, 0, 1),
    ]  # fmt: skip
    assert number(1, 150).hex() == "089601"
    assert delimited(2, b"testing").hex() == "120774657374696e67"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x08", "ends inside a number"),
        (b"\x08\xff", "ends inside a number"),
        (b"\x12\x05abc", "ends inside a field"),
        (b"\x09abc", "ends inside a field"),
        (b"\x0b", "wire type 3"),
        (b"\x08" + b"\xff" * 10, "more than ten bytes"),
    ],
)
def test_bytes_that_are_no_message_are_refused(data, why):
    with pytest.raises(WireError, match=why):
        list(fields(data))


def test_a_number_is_read_with_its_bits():
    assert [signed(one, bits=32) for one in (0, 2**31 - 1, 2**31, 2**64 - 1)] == [0, 2**31 - 1, -(2**31), -1]
