import json

import msgspec
import pytest

from workers.demo_target.infer import Tensor, infer, metadata, row_sums
from workers.demo_target.settings import Settings


def tensor(shape, data, datatype="FP32"):
    return {"name": "features", "shape": shape, "datatype": datatype, "data": data}


def ask(*inputs, **more):
    body = json.dumps({"inputs": inputs, **more}).encode()
    return infer(body, model="ranker", version=None, settings=Settings(service_time_s=0.25))


def test_each_row_of_the_first_input_is_summed():
    reply = ask(tensor([2, 3], [0.1, 0.2, 0.3, 4, 5, 6]), tensor([1], ["DE"], "BYTES"), id="q-1")
    assert reply.delay_s == 0.25
    answer = json.loads(reply.body)
    assert answer["id"] == "q-1"
    assert answer["model_name"] == "ranker"
    output = {"name": "OUTPUT0", "shape": [2], "datatype": "FP32", "data": [pytest.approx(0.6), 15.0]}
    assert answer["outputs"] == [output]


@pytest.mark.parametrize(
    ("shape", "data", "sums"),
    [([3], [1, 2, 3], [1, 2, 3]), ([2, 2], [[1, 2], [3, 4]], [3, 7]), ([1, 2, 2], [1, 2, 3, 4], [10])],
)
def test_a_row_is_an_index_of_the_first_dimension(shape, data, sums):
    assert row_sums(Tensor("x", shape, "FP32", data)) == sums


@pytest.mark.parametrize(
    "wrong",
    [
        tensor([1, 3], [1.0, 2.0]),
        tensor([1, 1], ["text"]),
        tensor([1, 1], [None]),
        tensor([1, 1], [10**400]),
        tensor([1, 1], [1.0], "FP7"),
        tensor([], []),
        tensor([0], []),
        tensor([-1], [1]),
        tensor("1", [1]),
        tensor([1], "1"),
        {"name": "features"},
    ],
)
def test_a_tensor_whose_parts_do_not_fit_together_is_refused(wrong):
    with pytest.raises(msgspec.ValidationError):
        ask(wrong)


def test_metadata_name_the_output_that_inferences_have():
    told = json.loads(metadata("ranker").body)
    assert told["name"] == "ranker"
    assert told["outputs"][0]["name"] == "OUTPUT0"
