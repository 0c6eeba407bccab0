import msgspec
import pytest

from workers.contract.errors import ProtocolError
from workers.protocols.kserve_v2_grpc import GrpcOptions, KServeV2Grpc
from workers.protocols.protobuf import delimited

ROW = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.5]}]}
OUTPUT = delimited(1, b"y") + delimited(2, b"FP32") + delimited(3, b"\2")
ANSWER = delimited(1, b"m") + delimited(5, OUTPUT) + delimited(6, b"\0\0\0\x3f\0\0\x20\xc0")


def ranker(*, for_regression: bool = True, **options: str) -> KServeV2Grpc:
    return KServeV2Grpc(GrpcOptions(**{"model": "m", **options}), seed=1, for_regression=for_regression)


def test_a_call_goes_to_model_infer_below_the_urls_own_path():
    request = ranker(url="http://h:1/team").build(ROW)
    assert (request.method, request.path) == ("POST", "/team/inference.GRPCInferenceService/ModelInfer")
    assert request.body.startswith(b"\x0a\x01m\x2a")
    assert (request.stream, request.results) == (False, None)


def test_outputs_that_were_asked_for_must_come():
    assert ranker().build({**ROW, "outputs": [{"name": "y"}, {"name": "z"}]}).results == 2
    assert ranker().parse(200, (), ANSWER).results == 1


def test_a_version_is_named_where_there_is_one():
    assert b"\x12\x013" in ranker(version="3").build(ROW).body


def test_a_row_that_does_not_fit_is_refused():
    with pytest.raises(ProtocolError, match="inputs"):
        ranker().build({"prompt": "x"})


def test_each_output_is_a_field_by_its_name_and_all_are_told_as_rest_would():
    answer = ranker().parse(200, (), ANSWER)
    assert (answer.ok, answer.kind) == (True, "ok")
    assert (answer.fields["status"], answer.fields["y"]) == (200, [0.5, -2.5])
    whole = {
        "model_name": "m", "model_version": "", "id": "",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [2], "data": [0.5, -2.5]}],
    }  # fmt: skip
    assert answer.fields["json"] == msgspec.json.decode(answer.fields["text"]) == whole


def test_under_load_values_are_checked_but_not_kept():
    answer = ranker(for_regression=False).parse(200, (), ANSWER)
    assert (answer.ok, answer.fields) == (True, {"status": 200})
    assert ranker(for_regression=False).parse(200, (), ANSWER[:-3]).kind == "invalid"


def test_an_output_called_status_does_not_hide_the_status():
    output = delimited(1, b"status") + delimited(2, b"FP32") + delimited(3, b"\0")
    answer = ranker().parse(200, (), delimited(5, output))
    assert answer.fields["status"] == 200


def test_a_refusal_has_the_kind_of_its_http_status_and_the_servers_words():
    headers = [("grpc-status", "5"), ("grpc-message", "Model m not found")]
    answer = ranker().parse(404, headers, b"")
    assert (answer.ok, answer.kind, answer.why) == (False, "http_404", "NOT_FOUND: Model m not found")
    assert answer.fields == {"status": 404, "text": "NOT_FOUND: Model m not found"}


def test_a_page_of_a_proxy_has_its_own_status_and_words():
    answer = ranker().parse(503, [("content-type", "text/html")], b"<p>no upstream</p>")
    assert (answer.kind, answer.why) == ("http_503", "HTTP 503 <p>no upstream</p>")


def test_an_answer_without_outputs_is_invalid():
    answer = ranker().parse(200, (), b"")
    assert (answer.kind, answer.why) == ("invalid", "the answer has no outputs")


@pytest.mark.parametrize("body", [b"\x08", b"<html>", b"\x0a\x01"])
def test_bytes_that_are_no_answer_are_invalid(body):
    answer = ranker().parse(200, (), body)
    assert (answer.ok, answer.kind) == (False, "invalid")
    assert "no ModelInferResponse" in answer.why


@pytest.mark.parametrize(
    ("body", "ready"), [(b"\x08\x01", True), (b"\x08\x00", False), (b"", False), (b"\x08", False)]
)
def test_readiness_is_a_yes_in_the_answer_of_a_call_that_infers_nothing(body, ready):
    assert [call.path.rpartition("/")[2] for call in ranker().ready_calls()] == ["ServerReady", "ModelReady"]
    assert ranker().says_ready(body) is ready
