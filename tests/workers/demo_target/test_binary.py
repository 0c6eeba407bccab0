import struct

import msgspec
import pytest

from workers.demo_target.binary import floats, split, values


def test_a_body_is_cut_where_its_header_says():
    assert split(b'{"a":1}xyz', "7") == (b'{"a":1}', b"xyz")
    assert split(b"{}", None) == (b"{}", b"")
    for length in ("8", "-1", "all"):
        with pytest.raises(msgspec.ValidationError, match="inference-header"):
            split(b"{}", length)


@pytest.mark.parametrize(
    ("datatype", "data", "found"),
    [
        ("FP32", floats([1, -0.5]), [1, -0.5]),
        ("INT64", struct.pack("<q", -3), [-3]),
        ("BF16", b"\x80?\x00\xc0", [1, -2]),
        ("BYTES", b"\x02\0\0\0hi\0\0\0\0", ["hi", ""]),
    ],
)
def test_bytes_become_elements(datatype, data, found):
    assert values(datatype, data) == found


@pytest.mark.parametrize(("datatype", "data"), [("FP32", b"abc"), ("BYTES", b"\x09\0\0\0hi")])
def test_half_an_element_is_refused(datatype, data):
    with pytest.raises(msgspec.ValidationError):
        values(datatype, data)
