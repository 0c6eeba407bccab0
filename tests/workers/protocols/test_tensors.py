import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.protocols.tensors import TensorError, check_size, count_of, flat, packed, unpacked


def test_nested_data_are_flat_in_row_major_order():
    assert flat([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert flat([1, 2]) == [1, 2]
    assert flat([]) == []
    assert flat("one bare element") == ["one bare element"]


def test_data_nested_without_end_are_refused():
    deep: list[object] = [1]
    for _ in range(40):
        deep = [deep]
    with pytest.raises(TensorError, match="deeper"):
        flat(deep)


def test_an_empty_shape_is_one_element_and_a_size_below_zero_is_none():
    assert (count_of([]), count_of([2, 3]), count_of([2, 0])) == (1, 6, 0)
    with pytest.raises(TensorError, match="below 0"):
        count_of([-1, 3])


WHOLE = {
    "INT8": (8, True), "INT16": (16, True), "INT32": (32, True), "INT64": (64, True),
    "UINT8": (8, False), "UINT16": (16, False), "UINT32": (32, False), "UINT64": (64, False),
}  # fmt: skip


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_whole_numbers_come_back_as_they_went(datatype, data):
    bits, signed = WHOLE[datatype]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    values = data.draw(st.lists(st.integers(low, high), max_size=9))
    raw = packed(datatype, values)
    assert len(raw) == len(values) * bits // 8
    assert unpacked(datatype, raw, count=len(values)) == values
    with pytest.raises(TensorError, match=datatype):
        packed(datatype, [high + 1])


@given(st.lists(st.text(max_size=5), max_size=5))
def test_texts_come_back_as_they_went_each_with_its_length_before_it(texts):
    raw = packed("BYTES", texts)
    assert len(raw) == sum(4 + len(text.encode()) for text in texts)
    assert unpacked("BYTES", raw, count=len(texts)) == texts


@given(st.lists(st.floats(width=16, allow_nan=False), max_size=5))
def test_narrow_floats_fit_every_wider_type(values):
    for datatype in ("FP16", "FP32", "FP64"):
        assert unpacked(datatype, packed(datatype, values), count=len(values)) == values


def test_the_bytes_are_little_endian_as_the_extension_says():
    assert packed("FP32", [1.0]) == b"\x00\x00\x80?"
    assert packed("BYTES", ["ab", ""]) == b"\x02\0\0\0ab\0\0\0\0"
    assert packed("BOOL", [True, False]) == b"\x01\x00"
    assert packed("BF16", [1.0, -2.0]) == b"\x80?\x00\xc0"


def nearest_bf16(value: float) -> set[float]:
    """The one or two numbers of 16 bits nearest to a float32, by brute force around it."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    around = [struct.unpack("<f", struct.pack("<I", ((bits >> 16) + step) << 16))[0] for step in (0, 1)]
    best = min(abs(one - value) for one in around)
    return {one for one in around if abs(one - value) == best}


@given(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**126), max_value=2.0**126))
def test_bf16_rounds_to_the_nearest(value):
    (found,) = unpacked("BF16", packed("BF16", [value]), count=1)
    assert found in nearest_bf16(value)


def test_bf16_ties_go_to_even_and_what_is_no_number_stays_none():
    halfway = struct.unpack("<f", struct.pack("<I", 0x3F808000))[0]
    assert packed("BF16", [halfway]) == b"\x80?"
    above = struct.unpack("<f", struct.pack("<I", 0x3F818000))[0]
    assert packed("BF16", [above]) == b"\x82?"
    nan, high, low = unpacked("BF16", packed("BF16", [math.nan, math.inf, -math.inf]), count=3)
    assert math.isnan(nan)
    assert (high, low) == (math.inf, -math.inf)


@pytest.mark.parametrize(
    ("datatype", "data"),
    [("FP32", ["x"]), ("FP32", [None]), ("FP32", [1e40]), ("INT32", [1.5]), ("BOOL", [2]), ("BYTES", [3]),
     ("BYTES", ["\ud800"]), ("FP7", [1]), ("FP16", [[1]])],
)  # fmt: skip
def test_data_that_a_type_cannot_hold_are_refused_by_its_name(datatype, data):
    with pytest.raises(TensorError, match=datatype):
        packed(datatype, data)


@pytest.mark.parametrize(
    ("datatype", "raw", "count"),
    [("FP32", b"\0" * 7, 2), ("FP32", b"\0" * 8, 1), ("BYTES", b"\x05\0\0\0ab", 1), ("BYTES", b"", 1),
     ("BYTES", b"\0\0\0\0x", 1), ("BYTES", b"\0\0\0\0\0\0\0\0", 1), ("BF16", b"\0", 1), ("NONE", b"", 0)],
)  # fmt: skip
def test_bytes_that_are_not_so_many_elements_are_refused(datatype, raw, count):
    with pytest.raises(TensorError, match=datatype):
        check_size(datatype, raw, count=count)
    with pytest.raises(TensorError, match=datatype):
        unpacked(datatype, raw, count=count)


def test_broken_text_is_shown_and_not_refused():
    assert unpacked("BYTES", b"\x02\0\0\0a\xff", count=1) == ["a\ufffd"]
