import json

import pytest

from workers.contract.errors import DataError
from workers.contract.files.golden import read_golden

GOOD = {"id": "a", "request": {"messages": []}, "expected": {"content": "x"}}


def written(tmp_path, *lines, name="g.jsonl"):
    path = tmp_path / name
    path.write_bytes(b"\n".join(x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines))
    return path


def problems(path, **options) -> str:
    with pytest.raises(DataError) as caught:
        read_golden(path, **options)
    return str(caught.value)


def test_the_cases_of_the_manual_are_read_in_order(tmp_path):
    rows = [
        GOOD,
        {
            "id": "b",
            "request": {"inputs": []},
            "expected": {"scores": [0.3]},
            "compare": {"scores": {"close": {"atol": 0.01}}},
            "tags": {"country": "DE"},
            "weight": 2,
        },
    ]
    first, second = read_golden(written(tmp_path, rows[0], b"  ", rows[1], b""))
    assert (first.id, first.compare, first.tags, first.weight, first.line) == ("a", {}, {}, 1.0, 1)
    assert (second.expected, second.weight, second.line) == ({"scores": [0.3]}, 2.0, 3)
    assert (second.compare, second.tags) == ({"scores": {"close": {"atol": 0.01}}}, {"country": "DE"})


def test_a_byte_order_mark_crlf_and_nan_are_read(tmp_path):
    line = b'\xef\xbb\xbf{"id": "a", "request": {}, "expected": {"s": [NaN]}}\r\n'
    (case,) = read_golden(written(tmp_path, line))
    assert case.expected["s"][0] != case.expected["s"][0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"id": "a", ', "not JSON"),
        (b'{"id": "\xff"}', "not UTF-8 at byte 9"),
        (b"[1]", "a case is a JSON object"),
        ({**GOOD, "id": None}, '"id" is missing'),
        ({**GOOD, "id": 3}, '"id" must be text'),
        ({**GOOD, "id": ""}, '"id" must be text'),
        ({"id": "a", "expected": {}}, '"request" is missing'),
        ({**GOOD, "request": "x"}, '"request" is no object'),
        ({"id": "a", "request": {}}, '"expected" is missing'),
        ({**GOOD, "expected": "x"}, '"expected" must be an object'),
        ({**GOOD, "compare": []}, '"compare" must be an object'),
        ({**GOOD, "tags": {"a": 1}}, '"tags" must map text to text'),
        ({**GOOD, "weight": 0}, '"weight" must be a number above 0'),
        ({**GOOD, "weight": True}, '"weight" must be a number above 0'),
        (b'{"id": "a", "request": {}, "expected": {}, "weight": NaN}', '"weight" must be a number above 0'),
        ({**GOOD, "expectd": {}}, "did you mean 'expected'"),
    ],
)
def test_a_broken_case_is_named_with_file_and_line(tmp_path, line, words):
    text = problems(written(tmp_path, {**GOOD, "id": "first"}, line))
    assert "g.jsonl:2: " in text
    assert words in text
    assert "has 1 broken cases" in text


def test_all_broken_cases_are_told_at_once_and_everything_wrong_with_each(tmp_path):
    text = problems(written(tmp_path, {"id": 1}, GOOD, b"{", GOOD))
    assert "g.jsonl:1: " in text
    assert '"id" must be text' in text
    assert '"request" is missing' in text
    assert "g.jsonl:3: not JSON" in text
    assert "g.jsonl:4: id 'a' is already on line 2" in text


def test_at_most_twenty_are_listed_then_counted(tmp_path):
    text = problems(written(tmp_path, *[b"{"] * 50))
    assert text.count("g.jsonl:") == 20 + 1 - 1
    assert "and 30 more" in text


def test_with_a_baseline_nothing_needs_to_be_expected(tmp_path):
    (case,) = read_golden(written(tmp_path, {"id": "a", "request": {}}), baseline=True)
    assert case.expected is None


def test_an_empty_or_missing_file_is_refused(tmp_path):
    assert "has no cases" in problems(written(tmp_path, b""))
    assert "cannot be read" in problems(tmp_path / "none.jsonl")
    assert "cannot be read" in problems(tmp_path)


def test_csv_holds_mappings_as_json_text(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text('id,request,expected,tags.lang\na,"{""q"": 1}","{""status"": 200}",de\nb,{,,\n')
    text = problems(path)
    assert "g.csv:2: column request holds no JSON" in text
    path.write_text('id,request,expected,tags.lang\na,"{""q"": 1}","{""status"": 200}",de\n')
    (case,) = read_golden(path)
    assert (case.request, case.expected, case.tags) == ({"q": 1}, {"status": 200}, {"lang": "de"})


def test_tensor_columns_of_parquet_become_a_request_of_the_open_inference_protocol(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "g.parquet"
    table = pa.table(
        {
            "id": ["a", "b"],
            "input.features": pa.array([[1.0, 2.5], None], pa.list_(pa.float32())),
            "input.user": pa.array([7, 8], pa.int64()),
            "input.city": ["Ulm", "Bonn"],
            "expected.scores": pa.array([[0.5], [0.25]], pa.list_(pa.float64())),
            "expected.best": pa.array([2, 3], pa.int32()),
            "tags.country": ["DE", "AT"],
        }
    )
    pq.write_table(table, path)
    path.rename(tmp_path / "0a1b2c")  # as a worker keeps it
    first, second = read_golden(tmp_path / "0a1b2c")
    assert first.request == {
        "inputs": [
            {"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.5]},
            {"name": "user", "shape": [1], "datatype": "INT64", "data": [7]},
            {"name": "city", "shape": [1], "datatype": "BYTES", "data": ["Ulm"]},
        ]
    }
    assert first.expected == {"scores": [0.5], "best": [2]}
    assert first.tags == {"country": "DE"}
    assert [tensor["name"] for tensor in second.request["inputs"]] == ["user", "city"]


def test_a_file_kept_under_its_sha256_is_read_by_the_name_that_a_person_gave_it(tmp_path):
    kept = written(tmp_path, b'id,request,expected\na,{},{}\nb,{},"{"', name="0a1b2c")
    assert "golden/g.csv:2: column expected" in problems(kept, name="golden/g.csv")
    kept.write_text("id,request,expected\na,{},{}\n")
    assert read_golden(kept, name="golden/g.csv")[0].id == "a"


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    assert "cannot be read as parquet" in problems(written(tmp_path, b"not parquet", name="g.parquet"))
