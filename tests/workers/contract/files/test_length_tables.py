import json

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from workers.contract.errors import DataError
from workers.contract.files.length_tables import BATCH_ROWS, LengthTable, has_lengths

COLUMNS = {
    "Timestamp": [5, 45, 45],
    "Model": ["GPT-4", "ChatGPT", None],
    "Request tokens": [472, 1087, 3],
    "Response tokens": [18, 230, 0],
}


@pytest.fixture(params=["csv", "parquet"])
def table(request, tmp_path):
    """Write columns in both forms and open them."""

    def write(columns, *tags):
        path = tmp_path / f"t.{request.param}"
        writer = {"csv": pyarrow.csv.write_csv, "parquet": pyarrow.parquet.write_table}[request.param]
        writer(pa.table(columns), path)
        return LengthTable(path, name=path.name, form=request.param, tags=tags)

    return write


def test_a_row_is_its_lengths_and_its_tags(table):
    rows = table(COLUMNS, "Model")
    assert rows.count == 3
    assert [json.loads(rows.text(place)) for place in range(3)] == [
        {"Request tokens": 472, "Response tokens": 18, "Model": "GPT-4"},
        {"Request tokens": 1087, "Response tokens": 230, "Model": "ChatGPT"},
        {"Request tokens": 3, "Response tokens": 0, "Model": ""},
    ]
    rows.close()


def test_rows_of_several_batches_keep_their_order_and_their_tags(table):
    count = 2 * BATCH_ROWS + 5
    models = [f"m{(at // 50_000)}" for at in range(count)]
    rows = table(
        {
            "Timestamp": range(count),
            "Model": models,
            "Request tokens": range(count),
            "Response tokens": [1] * count,
        },
        "Model",
    )
    for place in (0, BATCH_ROWS, count - 1):
        assert json.loads(rows.text(place)) == {
            "Request tokens": place, "Response tokens": 1, "Model": models[place],
        }  # fmt: skip


@pytest.mark.parametrize("bad", [-1, 2.5, None, 3_000_000])
def test_a_cell_that_is_no_length_is_named_by_its_row(table, bad):
    cells = pa.array([1, 2, bad], pa.float64())
    with pytest.raises(DataError, match=r"row 3: Request tokens must be a whole number from 0 to 1,000,000"):
        table(COLUMNS | {"Request tokens": cells})


def test_text_among_the_lengths_is_said(table):
    with pytest.raises(DataError, match=r"t\.(csv|parquet)"):
        table(COLUMNS | {"Request tokens": ["1", "many", "3"]})


def test_a_tag_that_is_no_column_is_said(table):
    with pytest.raises(DataError, match=r"no column 'country', though `tags` names it: Timestamp, Model"):
        table(COLUMNS, "country")


@pytest.mark.parametrize(
    ("header", "whether"),
    [
        ("TIMESTAMP,ContextTokens,GeneratedTokens", True),
        ("TIMESTAMP,ContextTokens,GeneratedTokens,prompt", False),
        ("timestamp,input_length,output_length", True),
        ("timestamp,input_length,output_length,hash_ids", False),
        ("timestamp", False),
        ("prompt", False),
    ],
)
def test_only_tables_of_lengths_alone_are_held_as_numbers(tmp_path, header, whether):
    (tmp_path / "t.csv").write_text(header + "\n")
    assert has_lengths(tmp_path / "t.csv", name="t.csv", form="csv") is whether
