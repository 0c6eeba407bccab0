import json

import pytest

from workers.contract.data import FileData
from workers.contract.snapshot import MOST_VALUES
from workers.engine.data import open_rows
from workers.engine.segments import few_values


@pytest.fixture
def rows(tmp_path):
    opened = []

    def make(*lines, order="file", tags=("lang", "user")):
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(json.dumps(one) for one in lines))
        opened.append(open_rows(FileData(str(path), order=order, tags=tags), seed=1))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_values_of_a_tag_with_few_are_told_apart_and_of_one_with_many_none(rows):
    data = rows(*({"lang": ["de", "en"][i % 2], "user": f"u{i}"} for i in range(MOST_VALUES + 1)))
    assert few_values(data, ("lang", "user")) == (("lang", "de"), ("lang", "en"))


def test_as_many_as_the_most_are_still_told_apart_in_any_order_of_the_rows(rows):
    lines = [{"lang": "de", "user": f"u{i:02}"} for i in range(MOST_VALUES)]
    found = [few_values(rows(*lines, order=order), ("user",)) for order in ("file", "shuffle")]
    assert found[0] == found[1] == tuple(("user", f"u{i:02}") for i in range(MOST_VALUES))


def test_data_without_tags_is_not_read(rows):
    assert few_values(rows({"prompt": "x"}, tags=()), ()) == ()
