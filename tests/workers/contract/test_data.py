import msgspec
import pytest

from workers.contract.data import (
    DataSpec,
    FileData,
    Fixed,
    Histogram,
    LogNormal,
    Normal,
    SyntheticData,
    Uniform,
    length_of,
)
from workers.contract.errors import DataError


@pytest.mark.parametrize(
    ("written", "length"),
    [
        (32, Fixed(32)),
        ({"uniform": [1, 9]}, Uniform(1, 9)),
        ({"normal": {"mean": 50, "sd": 2.5}}, Normal(50, 2.5)),
        ({"lognormal": {"median": 50, "sigma": 0.5}}, LogNormal(50, 0.5)),
    ],
)
def test_a_length_is_read_as_a_campaign_writes_it(tmp_path, written, length):
    assert length_of(written, folder=tmp_path) == length


@pytest.mark.parametrize(
    "written",
    [
        True,
        -1,
        1.5,
        "32",
        {},
        {"uniform": [9, 1]},
        {"uniform": [1]},
        {"normal": {"mean": 5}},
        {"normal": {"mean": 5, "sd": -1}},
        {"normal": 3},
        {"lognormal": {"median": 0, "sigma": 1}},
        {"poisson": 3},
        {"uniform": [1, 2], "normal": {}},
        {"histogram": "none.csv"},
        2_000_000,
    ],
)
def test_a_length_that_makes_no_sense_is_refused(tmp_path, written):
    with pytest.raises(DataError):
        length_of(written, folder=tmp_path)


def test_a_histogram_is_lines_of_length_and_count(tmp_path):
    (tmp_path / "h.csv").write_text("length,count\n10,3\n\n20,1.5\n")
    assert length_of({"histogram": "h.csv"}, folder=tmp_path) == Histogram((10, 20), (3.0, 1.5))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it has none"),
        ("length,count\n", "it has none"),
        ("1,1\nx,2\n", "line 2"),
        ("1,-1\n", "line 1"),
        ("1\n2,1\n3\n", "line 3"),
    ],
)
def test_a_broken_histogram_names_its_lines(tmp_path, text, words):
    (tmp_path / "h.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        length_of({"histogram": "h.csv"}, folder=tmp_path)


@pytest.mark.parametrize(
    "spec",
    [
        FileData("/x", order="shuffle", at_end="stop", tags=("a",)),
        SyntheticData(Uniform(1, 2), Histogram((1,), (1.0,)), LogNormal(3, 0.1)),
    ],
)
def test_a_spec_survives_the_wire(spec):
    assert msgspec.json.decode(msgspec.json.encode(spec), type=DataSpec) == spec
