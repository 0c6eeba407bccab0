import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workers.contract.data import Histogram
from workers.contract.errors import DataError
from workers.contract.files.histograms import read_histogram

SEEN = Histogram((10, 20), (3.0, 1.5))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("h.csv", "length,weight\n20,1.5\n\n10,3\n"),
        ("h.csv", "length,count\n10,3\n20,1.5\n"),
        ("h.csv", "10,3\n20,1.5\n"),
        ("h.csv", "\ufeffweight, length\n1.5,20\n1,10\n2,10\n"),
        ("h.jsonl", '{"length": 10, "weight": 3}\n\n{"length": 20, "count": 1.5}\n'),
    ],
)
def test_lengths_stand_with_their_weights_in_any_of_the_forms(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_histogram(tmp_path / name, name=name) == SEEN


def test_a_parquet_file_has_columns_of_length_and_weight(tmp_path):
    pq.write_table(pa.table({"length": [10, 20, 10], "weight": [1.0, 1.5, 2.0]}), tmp_path / "h.parquet")
    assert read_histogram(tmp_path / "h.parquet", name="h.parquet") == SEEN


@pytest.mark.parametrize(("name", "text"), [("h.csv", "length\n5\n7\n5\n"), ("h.jsonl", "5\n7\n5\n")])
def test_lengths_without_weights_are_counted(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_histogram(tmp_path / name, name=name) == Histogram((5, 7), (2.0, 1.0))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("h.csv", "", "has no rows"),
        ("h.csv", "length,weight\n", "has no rows"),
        ("h.csv", "1,1\nx,2\n", r"h.csv:2: a length is a whole number"),
        ("h.csv", "1,-1\n", r"h.csv:1: a weight is a number above 0, not '-1'"),
        ("h.csv", "1,inf\n", r"h.csv:1: a weight"),
        ("h.csv", "1,2,3\n", r"h.csv:1: 3 cells"),
        ("h.csv", "length,weight\n1\n", r"h.csv:2: 1 cells"),
        ("h.csv", "words,weight\n1,1\n", r"h.csv:1: a length"),
        ("h.csv", "2000000\n", r"from 0 to 1,000,000"),
        ("h.csv", "1.5\n", r"h.csv:1: a length"),
        ("h.jsonl", '{"size": 1}\n', r"h.jsonl:1: 'length' is missing; there are: size"),
        ("h.jsonl", "{\n", r"h.jsonl:1: not JSON"),
        ("h.jsonl", "true\n", r"h.jsonl:1: a length"),
    ],
)
def test_a_broken_histogram_names_its_lines(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=words):
        read_histogram(tmp_path / name, name=name)


def test_all_broken_rows_are_named_at_once_up_to_a_limit(tmp_path):
    (tmp_path / "h.csv").write_text("1\n" + "x\n" * 500)
    with pytest.raises(DataError) as caught:
        read_histogram(tmp_path / "h.csv", name="h.csv")
    assert str(caught.value).splitlines()[0].startswith("h.csv:2:")
    assert len(str(caught.value).splitlines()) == 20


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(DataError, match=r"h.csv cannot be read: No such file"):
        read_histogram(tmp_path / "h.csv", name="h.csv")
