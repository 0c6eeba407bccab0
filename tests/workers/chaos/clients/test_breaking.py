"""Bodies that are broken: none of them is a valid request any more."""

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.chaos.clients.breaking import broken
from workers.chaos.clients.kinds import BAD_UNICODE, BROKEN_JSON, CUT, DEEP, EMPTY, KINDS, WRONG_TYPES

BODY = json.dumps(
    {"messages": [{"role": "user", "content": "ahoy"}], "max_tokens": 5, "stream": True}
).encode()


@given(seed=st.integers(0, 10_000))
def test_broken_json_is_never_json(seed):
    with pytest.raises(ValueError, match=r"."):
        json.loads(broken(BROKEN_JSON, BODY, random=Random(seed)))


@given(seed=st.integers(0, 10_000))
def test_bad_unicode_is_never_utf_8(seed):
    with pytest.raises(UnicodeDecodeError):
        broken(BAD_UNICODE, BODY, random=Random(seed)).decode()


@given(seed=st.integers(0, 10_000))
def test_wrong_types_are_the_same_keys_with_another_type_at_least_once(seed):
    before, after = json.loads(BODY), json.loads(broken(WRONG_TYPES, BODY, random=Random(seed)))
    assert list(before) == list(after)
    assert any(type(before[key]) is not type(after[key]) for key in before)


def test_the_same_seed_breaks_alike():
    for kind in KINDS:
        if kind != CUT:
            assert broken(kind, BODY, random=Random(3)) == broken(kind, BODY, random=Random(3))


def test_deep_and_empty_bodies_are_that():
    assert broken(EMPTY, BODY, random=Random(1)) == b""
    with pytest.raises(RecursionError):
        json.loads(broken(DEEP, BODY, random=Random(1)))


@pytest.mark.parametrize("body", [b"", b"x", b"[1]", b'"text"', b"\xff"])
def test_bodies_of_any_other_form_can_be_broken_too(body):
    for kind in KINDS:
        if kind != CUT:
            for seed in range(20):
                broken(kind, body, random=Random(seed))
