"""A row that comes round again is built once; what an arrival sends depends on its index alone."""

import json

import pytest

from workers.contract.data import FileData, Fixed, SyntheticData
from workers.engine import prepared
from workers.engine.data import open_rows
from workers.engine.prepared import Prepared
from workers.protocols.contract import Request


@pytest.fixture
def rows(tmp_path):
    """Rows of a file with a tag, read as the given data says."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"x": at, "lang": f"l{at}"}) + "\n" for at in range(5)))
    return lambda **more: open_rows(FileData(str(path), tags=("lang",), **more), seed=3)


def build_into(built):
    def build(row):
        built.append(row)
        return Request("POST", "/", json.dumps(row).encode(), (), stream=False)

    return build


@pytest.mark.parametrize("order", ["sequential", "shuffle"])
def test_each_row_is_built_once_and_goes_to_the_arrivals_that_would_have_read_it(rows, order):
    source, built = rows(order=order), []
    made = Prepared(source, build_into(built))
    for index in range(23):
        request, tags = made.of(index)
        row = source.row(index)
        assert (json.loads(request.body), tags) == (row.request, row.tags)
    assert len(built) == 5


def test_data_that_stops_ends_here_too(rows):
    made = Prepared(rows(at_end="stop"), build_into([]))
    assert made.of(4) is not None
    assert made.of(5) is None


def test_made_up_rows_are_the_arrivals_own():
    source, built = open_rows(SyntheticData(Fixed(8), Fixed(8)), seed=3), []
    made = Prepared(source, build_into(built))
    assert len({made.of(index)[0].body for index in range(50)}) == 50
    assert made.of(7)[0] == made.of(7)[0]
    assert len(built) == 52


def test_memory_is_bounded_rows_beyond_it_are_built_again(rows, monkeypatch):
    monkeypatch.setattr(prepared, "MOST_BYTES", 2 * prepared.ROW_BYTES)
    source, built = rows(), []
    made = Prepared(source, build_into(built))
    for index in range(20):
        assert json.loads(made.of(index)[0].body) == source.row(index).request
    assert len(built) == 2 + 3 * 4
