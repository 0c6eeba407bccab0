"""What stands in Redis may be anybody's: whatever it is, it is read or refused in one way."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract import snapshot
from workers.contract.control import decode_order
from workers.contract.facts import decode_fact
from workers.contract.signed.drains import decode_drain
from workers.contract.signed.halts import Halts, decode_press
from workers.contract.signed.signing import SignatureError, check, read_keys

READERS = [decode_order, decode_drain, decode_fact, decode_press, snapshot.decode]
DEEP = b"[" * 100_000
NESTED = b'{"fact":"noted","type":"stop","x":' + DEEP + b"]" * 100_000 + b"}"
KEYS = read_keys("ops=a-secret-of-coordinators")


@pytest.mark.parametrize("decode", READERS)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"\xff\xfe", b'{"by":"\xff"}', DEEP, NESTED, b"\x91" * 100_000]
)
def test_what_cannot_be_read_is_refused_in_one_way_however_deep_it_is(decode, body):
    with pytest.raises(msgspec.DecodeError):
        decode(body)


@pytest.mark.parametrize("decode", READERS)
@given(body=st.binary(max_size=200))
def test_no_bytes_raise_anything_else(decode, body):
    with suppress(msgspec.DecodeError):
        decode(body)


def test_a_button_and_a_signature_of_that_kind_stop_nobody():
    halts = Halts(KEYS)
    assert halts.read({b"halt": NESTED}, now_s=1.0)
    assert halts.halted() is None
    deep = "W1tb" * 60_000 + ".x"  # base64 of [[[...
    with pytest.raises(SignatureError, match="cannot be read"):
        check(deep, b"", purpose="halt", keys=KEYS, now_s=1.0)
