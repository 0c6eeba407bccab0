import json

import msgspec
import pytest

from workers.demo_target.generate import generate_stream, generated
from workers.demo_target.settings import Settings

SETTINGS = Settings(tokens=5, ttft_s=0.1, gap_s=0.01)


def asked(**body) -> bytes:
    return json.dumps({"text_input": "a b", **body}).encode()


def test_a_whole_answer_comes_when_its_last_token_would_have():
    reply = generated(asked(), model="m", version="1", settings=SETTINGS)
    assert json.loads(reply.body) == {"model_name": "m", "model_version": "1", "text_output": "a b a b a"}
    assert (reply.delay_s, reply.tokens) == (pytest.approx(0.14), 5)


def test_a_stream_is_an_event_a_word_and_an_empty_one_at_the_end():
    wanted = {"max_tokens": 4, "parameters": {"max_tokens": 3}, "return_finish_reason": True,
              "return_num_output_tokens": True}  # fmt: skip
    stream = generate_stream(asked(**wanted), model="m", version="1", settings=SETTINGS)
    assert (stream.tokens, stream.ttft_s, stream.gap_s) == (3, 0.1, 0.01)
    events = [json.loads(one.removeprefix(b"data: ")) for one in [*stream.events(0, 3), stream.closing]]
    assert [one["text_output"] for one in events] == ["a", " b", " a", ""]
    assert [one["num_output_tokens"] for one in events] == [1, 1, 1, 0]
    assert [one.get("finish_reason") for one in events] == [None, None, None, "length"]


@pytest.mark.parametrize("body", [b"{}", b"{", b'{"text_input": 3}', b'{"text_input": "a", "max_tokens": 0}'])
def test_a_body_of_another_form_is_refused(body):
    for answer in (generated, generate_stream):
        with pytest.raises(msgspec.DecodeError):
            answer(body, model="m", version="1", settings=SETTINGS)
