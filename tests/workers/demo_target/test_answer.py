import json

from hypothesis import given
from hypothesis import strategies as st

from workers.demo_target.answer import Stream, generate, refusal


@given(
    words=st.lists(st.text("abc", min_size=1), max_size=20),
    limit=st.none() | st.integers(1, 60),
    tokens=st.integers(1, 50),
)
def test_words_are_repeated_in_order_up_to_the_lower_limit(words, limit, tokens):
    made = generate(prompt=" ".join(words), prompt_tokens=len(words), limit=limit, tokens=tokens)
    count = (tokens if limit is None else min(limit, tokens)) if words else 0
    assert made.text.split() == [words[index % len(words)] for index in range(count)]
    assert made.usage["completion_tokens"] == count
    assert made.usage["total_tokens"] == count + len(words)
    assert (made.finish_reason == "length") == (bool(words) and limit is not None and limit < tokens)


@given(st.integers(0, 30), st.integers(1, 30))
def test_a_streams_events_are_the_same_however_they_are_taken(cut, size):
    stream = Stream(
        opening=b"",
        first=b"first",
        later=tuple(b"%d" % index for index in range(size)),
        closing=b"",
        tokens=30,
        ttft_s=0,
        gap_s=0,
    )
    whole = list(stream.events(0, 30))
    assert [*stream.events(0, cut), *stream.events(cut, 30)] == whole
    assert whole[0] == b"first"
    assert whole[1] == b"%d" % (1 % size)


def test_an_error_speaks_the_paths_protocol():
    openai = json.loads(refusal("/v1/chat/completions", status=400, message="no").body)
    assert openai["error"]["message"] == "no"
    assert openai["error"]["type"] == "invalid_request_error"
    assert json.loads(refusal("/v2/models/m/infer", status=400, message="no").body) == {"error": "no"}
