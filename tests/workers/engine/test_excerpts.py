import json

from hypothesis import given
from hypothesis import strategies as st

from workers.engine.excerpts import HEAD_BYTES, MASK, MOST_CHARS, TELLING, Excerpts

SECRET = "Bearer sk-9f8e7d6c5b4a"


def test_a_secret_is_masked_wherever_it_stands():
    excerpts = Excerpts([SECRET])
    text = excerpts.of(f'{{"error": "bad key sk-9f8e7d6c5b4a in {SECRET}"}}'.encode())
    assert "sk-9f8e" not in text
    assert text == f'{{"error": "bad key {MASK} in {MASK}"}}'


def test_a_secret_that_json_had_to_escape_is_masked_too():
    secret = 'pa"ss\\word-é-1'
    assert "word-" not in Excerpts([secret]).of(json.dumps({"echo": secret}).encode())


def test_what_looks_like_a_password_is_masked_without_being_known():
    excerpts = Excerpts([])
    for text in (
        "Authorization: Bearer abcdef",
        '{"api_key": "abcdef"}',
        "see https://me:abcdef@host/x",
        "GET /?access_token=abcdef&x=1",
    ):
        assert "abcdef" not in excerpts.of(text.encode()), text


@given(st.integers(0, HEAD_BYTES + 40), st.integers(TELLING, 60))
def test_no_part_of_a_secret_shows_wherever_the_body_or_the_excerpt_is_cut(before, length):
    secret = "".join(chr(ord("A") + index % 26) for index in range(length))
    body = (b"x" * before + secret.encode() + b"y" * 500)[:HEAD_BYTES]
    text = Excerpts([secret]).of(body)
    assert len(text) <= MOST_CHARS
    assert secret[:TELLING] not in text


@given(st.binary(max_size=600))
def test_an_excerpt_of_anything_is_short_and_printable(body):
    text = Excerpts([SECRET]).of(body)
    assert len(text) <= MOST_CHARS
    assert not any(ord(sign) < 32 and sign not in "\t\n" for sign in text)


def test_a_body_that_is_no_text_is_told_by_its_size():
    assert Excerpts([]).of(bytes(range(256))) == "(256 bytes, not text)"
    assert Excerpts([]).of(b"") == ""


def test_a_short_secret_garbles_nothing():
    assert Excerpts(["on"]).of(b"content on and on") == "content on and on"
