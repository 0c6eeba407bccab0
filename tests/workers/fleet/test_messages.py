"""What a worker takes from its queue, to which anybody may have written."""

import base64
import json

import pytest

from workers.fleet.messages import MOST_BYTES, MOST_SHOWN, MessageError, parsed, task_message


def body(said: object) -> str:
    return base64.b64encode(json.dumps(said).encode()).decode()


def entry(*, headers: object = None, **changed: object) -> dict:
    said = {"task": "shakeout.load", "id": "c:peak:0:1"} | (headers or {})
    whole = {"body": body([[{"attempt": "peak:0:1"}], {}, {}]), "headers": said, "properties": {}}
    return whole | changed


def test_a_task_keeps_its_name_id_and_argument_and_how_it_is_shown():
    message = task_message(entry(headers={"shadow": "x" * 1000, "argsrepr": "peak:0:1"}), queue="w1")
    assert json.loads(base64.b64decode(message["body"])) == [[{"attempt": "peak:0:1"}], {}, {}]
    assert message["headers"]["id"] == message["properties"]["correlation_id"] == "c:peak:0:1"
    assert (message["headers"]["argsrepr"], message["headers"]["shadow"]) == ("peak:0:1", "x" * MOST_SHOWN)


def test_nothing_else_that_a_message_asks_of_celery_reaches_it():
    asked = {
        "eta": "2099-01-01T00:00:00+00:00", "compression": "application/x-gzip", "timelimit": [1, 1],
        "retries": 5, "stamped_headers": ["x"],
    }  # fmt: skip
    calls = [[{}], {}, {"callbacks": [{"task": "celery.group"}], "chain": [1], "chord": {"x": 1}}]
    message = task_message(entry(headers=asked, body=body(calls)), queue="w1")
    assert not asked.keys() & message["headers"].keys()
    assert json.loads(base64.b64decode(message["body"])) == [[{}], {}, {}]


def test_two_messages_never_have_the_same_tag():
    one = entry(properties={"delivery_tag": "t"})
    assert len({task_message(one, queue="w1")["properties"]["delivery_tag"] for _ in range(2)}) == 2


@pytest.mark.parametrize(
    "said",
    [
        None, 1, [], [1], {}, "text",
        entry(headers={"task": "celery.group"}), entry(headers={"task": None}), entry(headers={"task": [1]}),
        entry(headers={"id": None}), entry(headers={"shadow": {"a": 1}}),
        {**entry(), "headers": None}, {**entry(), "headers": [1]},
        entry(body=None), entry(body="!!!"), entry(body=body(1)), entry(body=body([1, 2])),
        entry(body=body([[1, 2], {}, {}])), entry(body=base64.b64encode(b"[" * 100_000).decode()),
    ],
)  # fmt: skip
def test_what_is_no_task_is_said_to_be_none(said):
    with pytest.raises(MessageError, match="no task of a coordinator's"):
        task_message(said, queue="w1")


@pytest.mark.parametrize("text", ["", "garbage", "[" * 100_000, "\ufffd", f'"{"x" * MOST_BYTES}"'])
def test_an_entry_that_cannot_be_read_is_nothing(text):
    assert parsed(text) is None
