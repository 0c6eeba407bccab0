import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.errors import ProtocolError
from workers.protocols.contract import settled
from workers.protocols.kserve_v2 import KServeV2, V2Options

LENGTH = "inference-header-content-length"
TENSOR = {"name": "features", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4]]}


def ranker(*, for_regression: bool = True, **options) -> KServeV2:
    return KServeV2(V2Options(model="ran ker", **options), seed=7, for_regression=for_regression)


def answer(*outputs: dict, **more) -> bytes:
    return json.dumps({"model_name": "m", "outputs": outputs, **more}).encode()


def output(data, shape=None, name="scores", datatype="FP32", **more) -> dict:
    return {"name": name, "shape": shape or [len(data)], "datatype": datatype, "data": data, **more}


def taken_apart(request) -> tuple[dict, bytes]:
    """The JSON of a binary request, and what comes after it."""
    length = int(dict(request.headers)[LENGTH])
    return json.loads(request.body[:length]), request.body[length:]


def binary(outputs: list[dict], data: bytes) -> tuple[list[tuple[str, str]], bytes]:
    head = json.dumps({"outputs": outputs}).encode()
    return [("Inference-Header-Content-Length", str(len(head)))], head + data


# Building.


def test_a_row_goes_as_it_is_to_its_models_page():
    request = ranker(url="http://h/api", version="3").build({"inputs": [TENSOR], "id": "7"})
    assert request.path == "/api/v2/models/ran%20ker/versions/3/infer"
    assert json.loads(request.body) == {"inputs": [TENSOR], "id": "7"}
    assert (request.stream, request.results) == (False, None)


@pytest.mark.parametrize("row", [{}, {"inputs": []}, {"inputs": {"x": 1}}, {"inputs": [1]}, {"prompt": "x"}])
def test_a_row_without_tensors_is_refused_with_what_it_has(row):
    with pytest.raises(ProtocolError, match='kserve-v2 row needs "inputs"'):
        ranker().build(row)


def test_outputs_that_are_asked_for_must_come():
    request = ranker().build({"inputs": [TENSOR], "outputs": [{"name": "a"}, {"name": "scores"}]})
    found = settled(ranker().parse(200, (), answer(output([1]))), request, truncated=False)
    assert (found.kind, found.why) == ("invalid", "2 results were asked for, 1 came")


def test_a_marked_input_goes_as_bytes_behind_the_json_and_the_others_stay():
    marked = {**TENSOR, "name": "b", "parameters": {"binary_data": True, "unit": "m"}}
    text = {"name": "t", "shape": [2], "datatype": "BYTES", "data": ["ä", ""],
            "parameters": {"binary_data": True}}  # fmt: skip
    head, rest = taken_apart(ranker().build({"inputs": [TENSOR, marked, text]}))
    assert head["inputs"][0] == TENSOR
    assert head["inputs"][1] == {
        "name": "b", "shape": [2, 2], "datatype": "FP32", "parameters": {"unit": "m", "binary_data_size": 16},
    }  # fmt: skip
    assert head["inputs"][2]["parameters"] == {"binary_data_size": 10}
    assert "parameters" not in head
    assert rest == struct.pack("<4f", 1, 2, 3, 4) + b"\x02\0\0\0\xc3\xa4\0\0\0\0"


def test_a_binary_target_sends_all_inputs_so_and_asks_for_all_outputs_so():
    row = {
        "inputs": [TENSOR],
        "outputs": [{"name": "a"}, {"name": "b", "parameters": {"binary_data": False}}],
    }
    request = ranker(binary=True).build(row)
    head, rest = taken_apart(request)
    assert head["parameters"] == {"binary_data_output": True}
    assert [one["parameters"] for one in head["outputs"]] == [{"binary_data": True}, {"binary_data": False}]
    assert (len(rest), "data" in head["inputs"][0]) == (16, False)
    assert ("content-type", "application/octet-stream") in request.headers
    assert "parameters" not in row["outputs"][0], "the row itself is left as it is"


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ({**TENSOR, "data": [1, 2, 3]}, "'features' has 3 elements, its shape \\[2, 2\\] wants 4"),
        ({**TENSOR, "data": ["a", 2, 3, 4]}, "FP32 cannot hold"),
        ({**TENSOR, "datatype": "FP8"}, "'FP8' is none of"),
        ({**TENSOR, "shape": ["n"]}, "wants 0"),
    ],
)
def test_data_that_no_bytes_can_be_made_of_are_refused_by_their_name(tensor, words):
    with pytest.raises(ProtocolError, match=words):
        ranker(binary=True).build({"inputs": [tensor]})


# Reading.


def test_each_output_is_a_field_with_its_flat_data():
    found = ranker().parse(
        200, (), answer(output([[1, 2], [3, 4]], [2, 2]), output(["a"], name="text", datatype="BYTES"))
    )
    assert (found.ok, found.results) == (True, 2)
    assert found.fields["scores"] == [1, 2, 3, 4]
    assert found.fields["text"] == ["a"], "an output hides the body's text"
    assert found.fields["json"]["model_name"] == "m"


def test_an_output_called_status_does_not_hide_https():
    assert ranker().parse(200, (), answer(output([7], name="status"))).fields["status"] == 200


@pytest.mark.parametrize("for_regression", [True, False])
def test_binary_outputs_are_cut_by_their_sizes(for_regression):
    first = {"name": "a", "shape": [2], "datatype": "INT64", "parameters": {"binary_data_size": 16}}
    third = {"name": "c", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}}
    headers, body = binary(
        [first, output([0.5], name="b"), third], struct.pack("<2q", -1, 2**40) + b"\x02\0\0\0hi"
    )
    found = ranker(for_regression=for_regression).parse(200, headers, body)
    assert (found.ok, found.results) == (True, 3)
    if for_regression:
        assert [found.fields[name] for name in "abc"] == [[-1, 2**40], [0.5], ["hi"]]
        assert json.loads(found.fields["text"])["outputs"][0] == first
    else:
        assert found.fields == {"status": 200}


@pytest.mark.parametrize("for_regression", [True, False])
@pytest.mark.parametrize(
    ("shape", "size", "data", "words"),
    [
        ([3], 8, b"\0" * 8, "output 'a': 3 elements of FP32 are 12 bytes, not 8"),
        ([2], 8, b"\0" * 7, "not 7"),
        ([2], 8, b"\0" * 9, "name 8 bytes of binary data, 9 came"),
        ([-1], 8, b"\0" * 8, "below 0"),
        ([2], -8, b"\0" * 8, "not"),
    ],
)
def test_binary_data_that_do_not_fit_are_invalid(shape, size, data, words, for_regression):
    one = {"name": "a", "shape": shape, "datatype": "FP32", "parameters": {"binary_data_size": size}}
    headers, body = binary([one], data)
    found = ranker(for_regression=for_regression).parse(200, headers, body)
    assert (found.ok, found.kind) == (False, "invalid")
    assert words in found.why


@pytest.mark.parametrize("length", ["-1", "many", "", "100000"])
def test_a_length_that_the_body_does_not_have_is_invalid(length):
    found = ranker().parse(200, [(LENGTH, length)], answer(output([1])))
    assert found.kind == "invalid"
    assert LENGTH in found.why


@pytest.mark.parametrize("for_regression", [True, False])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (answer(output([1, 2], [3])), "output 'scores': shape [3] wants 3 elements, data hold 2"),
        (answer(output([[1, 2], [3]], [2, 2])), "data hold 3"),
        (answer({"name": "a", "shape": [1], "datatype": "FP32", "data": []}), "data hold 0"),
        (answer(), "no outputs"),
        (b"{}", "no outputs"),
        (b'{"error": "out of memory"}', "status 200 with an error inside: out of memory"),
        (b'{"outputs": [{"name": 3}]}', "outputs[0]"),
        (b"[1]", "object"),
        (b"", "the body is not JSON: it is empty"),
        (b"null", "the body is no V2 answer: "),
        (b"{", "not JSON"),
        (b"<html>busy</html>", "HTML"),
    ],
)
def test_what_is_no_inference_is_invalid(body, words, for_regression):
    found = ranker(for_regression=for_regression).parse(200, (("content-type", "application/json"),), body)
    assert (found.ok, found.kind) == (False, "invalid")
    assert words in found.why
    assert found.fields["status"] == 200


def test_what_is_no_number_in_json_is_read_all_the_same():
    body = answer(output([float("nan"), float("-inf"), 1]))
    scores = ranker().parse(200, (), body).fields["scores"]
    assert scores[0] != scores[0]
    assert scores[1:] == [float("-inf"), 1]


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_status_is_its_own_outcome_with_the_servers_words(status):
    found, timing = ranker().parse_stream(status, (), [(1, b'{"error": "unexpected shape"}')])
    assert (found.kind, found.why) == (f"http_{status}", f"HTTP {status}: unexpected shape")
    assert timing.output_times_ns == ()


@given(st.binary(max_size=120), st.integers(0, 130))
def test_no_bytes_of_a_target_raise(body, length):
    assert not ranker().parse(200, (), body).ok
    assert not ranker().parse(200, [(LENGTH, str(length))], body).ok
