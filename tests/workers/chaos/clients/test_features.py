"""Rows without some of their features."""

from copy import deepcopy
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.chaos.clients.features import check_features, spoil
from workers.contract.errors import FaultError

FLAT = {"age": 41, "country": "DE", "score": 0.5}
TENSORS = {
    "inputs": [
        {"name": "a", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]},
        {"name": "b", "shape": [1], "datatype": "FP32", "data": [3.0]},
    ]
}
INSTANCES = {"instances": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}
COLUMNS = {"inputs": {"x": [1], "y": [2]}}


def _spoilt(row, *, names=(), share=0.5, how="null", seed=1):
    return spoil(row, names=names, share=share, how=how, random=Random(seed))


@pytest.mark.parametrize(
    ("row", "name", "nulled", "dropped"),
    [
        (FLAT, "score", {"age": 41, "country": "DE", "score": None}, {"age": 41, "country": "DE"}),
        (
            INSTANCES,
            "x",
            {"instances": [{"x": None, "y": 2}, {"x": None, "y": 4}]},
            {"instances": [{"y": 2}, {"y": 4}]},
        ),
        (COLUMNS, "y", {"inputs": {"x": [1], "y": None}}, {"inputs": {"x": [1]}}),
        (
            TENSORS,
            "a",
            {"inputs": [{**TENSORS["inputs"][0], "data": [None, None]}, TENSORS["inputs"][1]]},
            {"inputs": [TENSORS["inputs"][1]]},
        ),
    ],
)  # fmt: skip
def test_a_named_feature_is_null_or_gone_in_every_form_of_row(row, name, nulled, dropped):
    before = deepcopy(row)
    assert _spoilt(row, names=(name,))[0] == nulled
    assert _spoilt(row, names=(name,), how="drop")[0] == dropped
    assert row == before, "the row itself is used again"


@given(share=st.floats(0, 1), seed=st.integers(0, 1000), how=st.sampled_from(["null", "drop", "either"]))
def test_a_share_spoils_that_many_and_at_least_one(share, seed, how):
    row, spoilt = _spoilt(FLAT, share=share, seed=seed, how=how)
    assert spoilt.nulled + spoilt.dropped == max(1, int(share * 3))
    assert len(FLAT) - len(row) == spoilt.dropped
    assert sum(value is None for value in row.values()) == spoilt.nulled


@pytest.mark.parametrize(
    ("row", "names"), [({}, ()), ({"id": "x"}, ()), (FLAT, ("size",)), ({"inputs": []}, ())]
)
def test_rows_without_such_features_are_said(row, names):
    with pytest.raises(FaultError, match="row 1 of the fault has no features"):
        check_features([row], names=names)


def test_every_row_has_one_of_the_features_and_every_feature_is_in_a_row():
    check_features([FLAT, {"age": 7}], names=("score", "age"))
    with pytest.raises(FaultError, match="row 2 of the fault has no features score; there are: age"):
        check_features([FLAT, {"age": 7}], names=("score",))
    with pytest.raises(
        FaultError, match="no row of the fault has features scroe; there are: age, country, score"
    ):
        check_features([FLAT], names=("score", "scroe"))


@pytest.mark.parametrize("data", [5, None, [], "text"])
def test_a_tensor_whose_data_is_no_list_is_made_null_all_the_same(data):
    row, spoilt = _spoilt({"inputs": [{"name": "a", "data": data}]}, names=("a",))
    assert row == {"inputs": [{"name": "a", "data": [None]}]}
    assert spoilt.nulled == 1
