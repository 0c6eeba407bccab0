import pytest

from workers.contract.files.trace_formats import FORMATS, Lengths, format_of, lengths_of, unknown_columns


def test_a_format_is_known_by_its_columns_whatever_stands_beside_them():
    assert format_of(["TIMESTAMP", "ContextTokens", "GeneratedTokens", "x"]).name == "Azure LLM inference"
    assert format_of(["Timestamp", "Model", "Request tokens", "Response tokens"]).name == "BurstGPT"
    assert format_of(["timestamp", "input_length", "output_length"]).name == "Mooncake"
    assert format_of(["timestamp", "prompt"]).name == "plain"
    assert format_of(["time", "TIMESTAMP"]) is None
    assert format_of([]) is None


def test_what_was_looked_for_and_what_is_there_are_both_said():
    said = unknown_columns(["when"])
    assert all(one.name in said for one in FORMATS)
    assert said.endswith("there are: when")


@pytest.mark.parametrize(
    ("row", "lengths"),
    [
        ({"TIMESTAMP": "x", "ContextTokens": 374, "GeneratedTokens": 44}, Lengths(374, 44)),
        ({"Request tokens": 5.0, "Response tokens": 0, "Model": "GPT-4"}, Lengths(5, 0)),
        ({"input_length": 600, "output_length": 1, "hash_ids": [7, 8]}, Lengths(600, 1, (7, 8))),
        ({"input_length": 600, "output_length": 1}, Lengths(600, 1)),
        ({"input_length": 600, "output_length": 1, "prompt": "own"}, None),
        ({"input_length": 600, "output_length": 1, "messages": []}, None),
        ({"ContextTokens": 5}, None),
        ({"prompt": "x"}, None),
    ],
)
def test_a_row_of_recorded_lengths_is_told_from_a_request_of_its_own(row, lengths):
    assert lengths_of(row) == lengths


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"ContextTokens": -1, "GeneratedTokens": 4}, "ContextTokens must be a whole number from 0"),
        ({"ContextTokens": "5", "GeneratedTokens": 4}, "not '5'"),
        ({"ContextTokens": True, "GeneratedTokens": 4}, "not True"),
        ({"ContextTokens": 1, "GeneratedTokens": 2_000_000}, "to 1,000,000"),
        ({"input_length": 1.5, "output_length": 4}, "not 1.5"),
        ({"input_length": 1, "output_length": 4, "hash_ids": "x"}, "hash_ids must be a list"),
        ({"input_length": 1, "output_length": 4, "hash_ids": [None]}, "hash_ids must be a list"),
    ],
)
def test_lengths_that_make_no_sense_are_refused(row, words):
    with pytest.raises(ValueError, match=words):
        lengths_of(row)
