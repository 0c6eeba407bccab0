import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.errors import ProtocolError
from workers.protocols.contract import settled
from workers.protocols.tf_serving import PredictOptions, TFServing


def serving(*, for_regression: bool = True, **options) -> TFServing:
    return TFServing(PredictOptions(model="m", **options), seed=7, for_regression=for_regression)


def parse(value: object, **options):
    return serving(**options).parse(200, (), json.dumps(value).encode())


def test_rows_go_as_they_are_to_the_page_of_predict():
    row = {"signature_name": "s", "instances": [{"x": [1, 2], "k": {"b64": "aGk="}}, {"x": [3, 4]}]}
    request = serving(url="http://h/v1", version="4").build(row)
    assert (request.path, request.stream, request.results) == ("/v1/models/m/versions/4:predict", False, 2)
    assert json.loads(request.body) == row


@pytest.mark.parametrize("inputs", [[[1], [2]], {"x": [[1], [2]]}, "text", [{"b64": "aGk="}]])
def test_columns_go_as_they_are_and_their_number_is_not_known(inputs):
    request = serving().build({"inputs": inputs})
    assert (json.loads(request.body), request.results) == ({"inputs": inputs}, None)


def test_tensors_of_a_table_become_columns_nested_as_their_shapes_say():
    tensors = [
        {"name": "x", "shape": [2, 1, 2], "datatype": "FP32", "data": [1, 2, 3, 4]},
        {"name": "k", "shape": [1], "datatype": "BYTES", "data": ["DE"]},
        {"name": "one", "shape": [], "datatype": "FP32", "data": [7]},
        {"name": "none", "shape": [2, 0], "datatype": "FP32", "data": []},
    ]
    body = json.loads(serving().build({"inputs": tensors}).body)
    assert body == {"inputs": {"x": [[[1, 2]], [[3, 4]]], "k": ["DE"], "one": 7, "none": [[], []]}}
    with pytest.raises(ProtocolError, match="'x' has 3 elements, its shape is"):
        serving().build({"inputs": [{**tensors[0], "data": [1, 2, 3]}]})


@pytest.mark.parametrize(
    "row", [{}, {"instances": [], "x": 1}, {"instances": [1], "inputs": [1]}, {"instances": 3}]
)
def test_a_row_with_neither_or_both_is_refused(row):
    with pytest.raises(ProtocolError, match="instances"):
        serving().build(row)


def test_predictions_are_a_field_and_so_is_each_named_output_flat():
    found = parse({"predictions": [{"a": [1, 2], "b": 0.5}, {"a": [3, 4], "b": 0.25}]})
    assert (found.ok, found.results) == (True, 2)
    assert found.fields["a"] == [1, 2, 3, 4]
    assert found.fields["b"] == [0.5, 0.25]
    assert found.fields["predictions"][1] == {"a": [3, 4], "b": 0.25}
    assert parse({"predictions": [[0.1], [0.2]]}).fields["predictions"] == [[0.1], [0.2]]


def test_columns_come_back_as_outputs_by_name_or_bare():
    named = parse({"outputs": {"a": [[1], [2]], "status": [3]}})
    assert (named.fields["a"], named.fields["status"], named.results) == ([1, 2], 200, None)
    assert parse({"outputs": [[1], [2]]}).fields["outputs"] == [[1], [2]]


def test_a_load_counts_predictions_and_keeps_none():
    assert parse({"predictions": [1, 2]}, for_regression=False).fields == {"status": 200}


def test_as_many_predictions_as_instances_must_come():
    request = serving().build({"instances": [[1], [2]]})
    found = settled(parse({"predictions": [1]}), request, truncated=False)
    assert (found.kind, found.why) == ("invalid", "2 results were asked for, 1 came")


def test_what_is_no_number_in_json_is_read_all_the_same():
    assert parse({"predictions": [float("nan")]}).ok


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": "Servable not found"}', "inside: Servable not found"),
        (b"{}", "neither"),
        (b"[1]", "neither"),
        (b'{"predictions": 3}', "neither"),
        (b"", "not JSON"),
        (b"<p>", "HTML"),
        (b'{"outputs": {"a": ' + b"[" * 60 + b"]" * 60 + b"}}", "deeper"),
    ],
)
def test_what_is_no_prediction_is_invalid(body, words):
    found = serving().parse(200, (), body)
    assert (found.ok, found.kind) == (False, "invalid")
    assert words in found.why


def test_a_status_is_its_own_outcome_with_the_servers_words():
    found, timing = serving().parse_stream(400, (), [(1, b'{"error": "JSON Parse error"}')])
    assert (found.kind, found.why) == ("http_400", "HTTP 400: JSON Parse error")
    assert timing.output_times_ns == ()


def test_readiness_is_asked_on_the_models_page():
    options = PredictOptions(model="a b", url="http://h/x/v1", version="2")
    assert TFServing.readiness_paths(options) == ("/x/v1/models/a%20b/versions/2",)


@given(st.binary(max_size=120))
def test_no_bytes_of_a_target_raise(body):
    assert not serving().parse(200, (), body).ok
