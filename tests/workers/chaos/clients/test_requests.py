"""Requests of clients: from rows of a file, or made up."""

import json

import pytest

from workers.chaos.clients.requests import MOST_ROWS, Requests
from workers.contract.errors import FaultError

PROMPTED = ("openai-chat", "openai-completions", "openai-embeddings", "triton-generate")


def _requests(aim, *, rows=""):
    return Requests(aim, rows=rows, seed=5, tokens=7)


@pytest.mark.parametrize("protocol", PROMPTED)
def test_prompts_are_made_up_alike_for_one_seed_and_differ_by_index(make_aim, protocol):
    aim = make_aim("http://127.0.0.1:9", protocol=protocol)
    first, again = _requests(aim), _requests(aim)
    assert [first.of(index).body for index in range(3)] == [again.of(index).body for index in range(3)]
    assert len({first.of(index).body for index in range(20)}) == 20
    assert len(first.prompt(3, words=100).split()) == 100


def test_output_is_bounded_where_the_protocol_knows_a_bound(make_aim):
    chat = json.loads(_requests(make_aim("http://127.0.0.1:9")).of(0).body)
    assert chat["max_tokens"] == 7
    embeddings = _requests(make_aim("http://127.0.0.1:9", protocol="openai-embeddings")).of(0)
    assert "max_tokens" not in json.loads(embeddings.body)


def test_rows_of_a_file_are_taken_in_turn_and_golden_ones_by_their_request(make_aim, tmp_path):
    path = tmp_path / "0123abcd"
    path.write_text('{"prompt": "one"}\n{"id": "g", "request": {"prompt": "two"}, "expected": {}}\n')
    aim = make_aim("http://127.0.0.1:9", files={"rows.jsonl": str(path)})
    requests = _requests(aim, rows="rows.jsonl")
    said = [json.loads(requests.of(index).body)["messages"][0]["content"] for index in range(3)]
    assert said == ["one", "two", "one"]


def test_no_more_rows_are_held_than_are_needed(make_aim, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"prompt": "{number}"}}\n' for number in range(MOST_ROWS + 5)))
    requests = _requests(make_aim("http://127.0.0.1:9"), rows=str(path))
    assert requests.row(MOST_ROWS) == {"prompt": "0"}


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "has none"), ("{broken\n", "rows.jsonl:1"), ("[1]\n", "a row is a JSON object")],
)
def test_rows_that_cannot_be_used_are_said_with_their_place(make_aim, tmp_path, text, words):
    path = tmp_path / "rows.jsonl"
    path.write_text(text)
    with pytest.raises(FaultError, match=words):
        _requests(make_aim("http://127.0.0.1:9"), rows=str(path))


def test_every_row_must_fit_before_the_first_is_sent(make_aim, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "one"}\n{"size": 2}\n')
    with pytest.raises(FaultError, match=r"row 2 of the fault does not fit openai-chat: .*prompt"):
        _requests(make_aim("http://127.0.0.1:9"), rows=str(path)).check()


def test_inputs_are_zeros_of_the_shape_that_the_target_tells(make_aim):
    requests = _requests(make_aim("http://127.0.0.1:9", protocol="kserve-v2"))
    assert requests.wants_metadata
    assert requests.metadata_path() == "/v2/models/demo"
    inputs = [
        {"name": "x", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "s", "datatype": "BYTES", "shape": [1]},
        {"name": "b", "datatype": "BOOL", "shape": [2]},
    ]
    requests.take_metadata(json.dumps({"name": "demo", "inputs": inputs}).encode())
    assert [one["data"] for one in requests.row(0)["inputs"]] == [[0, 0, 0], [""], [False, False]]
    assert requests.row(0)["inputs"][0]["shape"] == [1, 3]
    with pytest.raises(FaultError, match="its metadata cannot be read"):
        requests.take_metadata(b"<html>")


@pytest.mark.parametrize("protocol", ["json-http", "tf-serving"])
def test_other_targets_need_rows(make_aim, protocol):
    with pytest.raises(FaultError, match=r"needs rows to send: say `with: \{rows: PATH\}`"):
        _requests(make_aim("http://127.0.0.1:9", protocol=protocol))
