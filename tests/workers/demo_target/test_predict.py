import json

import msgspec
import pytest

from workers.demo_target.predict import model_status, predict
from workers.demo_target.settings import Settings


def ask(**body):
    reply = predict(json.dumps(body).encode(), settings=Settings(service_time_s=0.25))
    assert reply.delay_s == 0.25
    return json.loads(reply.body)


def test_rows_in_are_rows_out_and_columns_in_columns_out():
    assert ask(instances=[[1, [2, 3]], {"x": 4, "y": [5]}, 6]) == {"predictions": [6, 9, 6]}
    assert ask(inputs={"x": [[1, 2], [3, 4]], "y": [10, 20]}) == {"outputs": [13, 27]}
    assert ask(inputs=[[1, 2], [3, 4]]) == {"outputs": [3, 7]}


@pytest.mark.parametrize(
    "body", [{}, {"instances": []}, {"instances": ["a"]}, {"inputs": {"x": [1], "y": [1, 2]}}]
)
def test_what_has_no_rows_of_numbers_is_refused(body):
    with pytest.raises(msgspec.ValidationError):
        ask(**body)


def test_the_models_page_says_that_it_is_available():
    assert json.loads(model_status().body)["model_version_status"][0]["state"] == "AVAILABLE"
