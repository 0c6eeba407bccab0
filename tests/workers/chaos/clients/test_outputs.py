"""Output counted while it comes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.chaos.clients.connection import BrokenAnswerError
from workers.chaos.clients.outputs import MOST_EVENT_BYTES, Outputs

CHAT = (
    b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
    b'data: {"choices":[{"delta":{"content":"one"}}]}\n\n'
    b": a comment\n\n"
    b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\r\n\r\n'
    b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'
    b"data: [DONE]\n\n"
)


@given(cuts=st.lists(st.integers(0, len(CHAT)), max_size=12))
def test_however_a_stream_is_cut_its_outputs_are_the_same(cuts):
    outputs = Outputs()
    places = [0, *sorted(cuts), len(CHAT)]
    for start, end in pairwise(places):
        outputs.feed(CHAT[start:end])
    assert (outputs.count, outputs.ended) == (2, True)


def test_an_event_without_end_is_no_stream():
    outputs = Outputs()
    outputs.feed(b"x" * MOST_EVENT_BYTES)
    with pytest.raises(BrokenAnswerError, match="an event of more than"):
        outputs.feed(b"x")


@pytest.mark.parametrize(
    ("event", "count"),
    [
        (b'data: {"choices":[{"text":" word"}]}\n\n', 1),
        (b'data: {"text_output":"word"}\n\n', 1),
        (b"data: no json\n\n", 0),
        (b'data: {"choices":[{"delta":{"content":"not yet whole"}}]}\n', 0),
    ],
)
def test_every_kind_of_output_counts_and_nothing_else(event, count):
    outputs = Outputs()
    outputs.feed(event)
    assert outputs.count == count
