import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workers.contract.errors import DataError
from workers.contract.files.trace_columns import CHUNK_ROWS
from workers.contract.files.trace_files import read_trace

MS = 1_000_000
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"


@pytest.fixture
def trace(tmp_path):
    """Write a file and read its times."""

    def write_and_read(name, content):
        path = tmp_path / name
        if isinstance(content, str):
            content = content.encode()
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            pq.write_table(pa.table(content), path)
        return read_trace(path, name=name)

    return write_and_read


def json_lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def moon(at, *, given=600, made=5):
    return {"timestamp": at, "input_length": given, "output_length": made, "hash_ids": [1, 2]}


@pytest.mark.parametrize(
    ("name", "content", "times_ns"),
    [
        (
            "azure-2023.csv",
            AZURE + "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n",
            [0, 4_314_579_000],
        ),
        (
            "azure-2024.csv",
            AZURE
            + "2024-05-12 00:00:00.001163+00:00,1,2\n2024-05-12 00:00:00+00:00,3,4\n".replace(
                "00:00:00+", "00:00:01+"
            ),
            [0, 998_837_000],
        ),
        (
            "burst.csv",
            BURST + "5,ChatGPT,472,18,490,API log\n45,GPT-4,1087,230,1317,API log\n",
            [0, 40_000 * MS],
        ),
        ("moon.jsonl", json_lines(moon(0), moon(3052), moon(3052)), [0, 3052 * MS, 3052 * MS]),
        ("plain.csv", "timestamp\n0.25\n\n1e0\n", [0, 750 * MS]),
        ("zones.csv", "timestamp\n2024-01-01T00:00:00Z\n2024-01-01T01:00:01+01:00\n", [0, 1000 * MS]),
        ("bom.csv", b"\xef\xbb\xbftimestamp,x\r\n1,a\r\n2,b\r\n", [0, 1000 * MS]),
        ("plain.jsonl", json_lines({"timestamp": 3, "x": {}}, {"timestamp": 3.5}), [0, 500 * MS]),
        (
            "dates.jsonl",
            json_lines({"timestamp": "2024-01-01T00:00:00"}, {"timestamp": "2024-01-02"}),
            [0, 86_400_000 * MS],
        ),
        (
            "epoch.jsonl",
            json_lines({"timestamp": 1700000000.123456}, {"timestamp": 1700000001.5}),
            [0, 1_376_544_000],
        ),
        ("plain.parquet", {"timestamp": [0.5, 0.75]}, [0, 250 * MS]),
        ("text.parquet", {"timestamp": ["1", "3"]}, [0, 2000 * MS]),
        (
            "azure.parquet",
            {
                "TIMESTAMP": [
                    np.datetime64("2024-01-01T00:00:00", "us"),
                    np.datetime64("2024-01-01T00:00:01.000005", "us"),
                ],
                "ContextTokens": [1, 2],
                "GeneratedTokens": [1, 2],
            },
            [0, 1_000_005_000],
        ),
    ],
)
def test_each_format_gives_its_times_since_the_first_arrival(trace, name, content, times_ns):
    assert trace(name, content).tolist() == times_ns


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_many_rows_are_read_as_one_stream(trace, form):
    times = np.cumsum(np.arange(2 * CHUNK_ROWS + 17) % 5) / 1000
    content = {
        "csv": lambda: "timestamp\n" + "\n".join(f"{one:.3f}" for one in times),
        "jsonl": lambda: "".join(f'{{"timestamp": {one:.3f}}}\n' for one in times),
        "parquet": lambda: {"timestamp": times},
    }[form]()
    assert trace(f"t.{form}", content).tolist() == np.rint(times * 1e9).astype(np.int64).tolist()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "t.csv",
            "timestamp\n1\n\n3\n2\n",
            ["t.csv:5: timestamp goes backwards, from 3 to 2; sort the rows by it"],
        ),
        (
            "t.csv",
            "timestamp\n1\nabc\n2\nnan\n",
            ["t.csv:3: timestamp is 'abc', not a number", "t.csv:5: timestamp is 'nan'"],
        ),
        (
            "t.csv",
            "timestamp\nabc\n1\n2024-01-01\n",
            ["t.csv:2: timestamp is 'abc'", "t.csv:4: timestamp is '2024-01-01', not a number, as"],
        ),
        (
            "t.csv",
            "timestamp,x\n2024-01-01,1\n,1\n7,1\n",
            ["t.csv:3: timestamp is empty", "t.csv:4: timestamp is '7', not a date-time, as"],
        ),
        (
            "t.csv",
            "timestamp\n2024-01-01T00:00:00\n2024-01-01T00:00:01Z\n",
            ["t.csv:3: timestamp is '2024-01-01T00:00:01Z'"],
        ),
        (
            "t.csv",
            AZURE + "2024-01-02,1,1\n2024-01-01,1,1\n",
            ["t.csv:3: TIMESTAMP goes backwards, from 2024-01-02 to 2024-01-01"],
        ),
        ("t.csv", AZURE + "1,1,1\n2\n", ["t.csv cannot be read as csv", "Expected 3 columns, got 1"]),
        (
            "t.jsonl",
            json_lines(moon(1), {"timestamp": 2}, moon(3)),
            ["t.jsonl:2: is no row of a Mooncake trace as the first one is", "input_length"],
        ),
        (
            "t.jsonl",
            '{"timestamp": 1}\n\n{broken\n{"timestamp": true}\n',
            ["t.jsonl:3: not JSON", "t.jsonl:4: timestamp is 'True'"],
        ),
        (
            "t.jsonl",
            json_lines(moon(5), moon(5), moon(4)),
            ["t.jsonl:3: timestamp goes backwards, from 5 to 4"],
        ),
        (
            "t.parquet",
            {"timestamp": [1.0, None, 0.5]},
            ["t.parquet:row 2: timestamp is empty", "t.parquet:row 3: timestamp goes backwards"],
        ),
        (
            "t.parquet",
            {"timestamp": [[1], [2]]},
            ["t.parquet:row 1: timestamp is '[1]', not a number of seconds or a date-time"],
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_line(trace, name, content, said):
    with pytest.raises(DataError) as caught:
        trace(name, content)
    assert [one for one in said if one not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", "", "there are: nothing"),
        ("t.csv", "a,b\n1,2\n", "there are: a, b"),
        (
            "t.csv",
            "TIMESTAMP,x\n1,2\n",
            "looked for the columns of Azure LLM inference (TIMESTAMP, ContextTokens",
        ),
        ("t.jsonl", '{"time": 1}\n', "there are: time"),
        ("t.jsonl", "\n \n", "t.jsonl has no rows; a trace has at least two arrivals"),
        ("t.jsonl", "[1]\n", "t.jsonl:1: a row is a JSON object"),
        ("t.jsonl", b"\xff\n", "t.jsonl:1: not UTF-8"),
        ("t.csv", b"\xff\n", "t.csv is not UTF-8"),
        ("t.csv", "timestamp\n", "t.csv has no rows"),
        ("t.csv", "timestamp\n5\n", "t.csv has one row"),
        ("t.parquet", b"PAR1 nothing", "t.parquet cannot be read as parquet"),
    ],
)
def test_a_file_that_is_no_trace_is_said_to_be_none(trace, name, content, said):
    with pytest.raises(DataError) as caught:
        trace(name, content)
    assert said in str(caught.value)


def test_a_missing_file_is_said(tmp_path):
    for name in ("none.csv", "none.jsonl", "none.parquet"):
        with pytest.raises(DataError, match=f"{name} cannot be read"):
            read_trace(tmp_path / name, name=name)


def test_a_file_that_is_wrong_throughout_names_its_first_lines(trace):
    with pytest.raises(DataError) as caught:
        trace("t.csv", "timestamp\n1\n" + "x\n" * 10_000)
    assert str(caught.value).splitlines()[0].startswith("t.csv:3:")
    assert len(str(caught.value).splitlines()) == 21
    assert "the rest of the file was not looked at" in str(caught.value)


def test_a_file_without_line_ends_is_refused_by_its_size(trace):
    with pytest.raises(DataError, match=r"t.jsonl:1: a row of more than 16 MiB"):
        trace("t.jsonl", b'{"timestamp": 1, "x": "' + b"x" * 17 * 2**20)
