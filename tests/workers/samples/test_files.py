import io

import pyarrow.parquet as pq
import pytest

from workers.contract.samples import Sample, SpoolHeader, encode, frame, gap_bytes, trace_id
from workers.samples.files import COLUMNS, file_name, parquet_of

HEADER = SpoolHeader(
    "trial", "peak", "peak/surge", 2, 3, "peak/surge:2:3", 1_700_000_000.25, 1.0, "memory://x", 4
)
STREAM = Sample(
    7, "peak/surge/7/3", 0.5, 0.75, 0.125, 0.0625, 0.0625, 1.5, 1.25, 0.5, 0.25, 0.5, 0.25,
    gap_bytes((0.25, 0.5)), 12, 3, 200, "ok", "", {"tenant": "a", "length": "long"}, "rush",
)  # fmt: skip
FAILED = Sample(
    10, "peak/surge/10/3", 1.5, None, 0.0, 0.5, 0.0, 0.5, 0.0, None, None, None, None, b"", None, None, 0,
    "connect", "refused", {}, "",
)  # fmt: skip


def read(spool):
    _, body, rows = parquet_of(spool)
    table = pq.read_table(io.BytesIO(body))
    assert table.num_rows == rows
    return table


def test_each_request_is_a_row_with_every_column(tmp_path):
    spool = tmp_path / "a.done"
    spool.write_bytes(frame(encode(HEADER)) + frame(encode([STREAM])) + frame(encode([FAILED])))
    table = read(spool)
    assert table.column_names == list(COLUMNS)
    stream, failed = table.to_pylist()
    assert stream == {
        "request_id": "peak/surge/7/3", "trace_id": trace_id("trial", "peak/surge/7/3"), "phase": "peak",
        "activity": "peak/surge", "shard": 2, "attempt": 3, "index": 7, "warmup": True, "stage": "rush",
        "intended_s": 0.5, "intended_common_s": 1_700_000_000.75, "sent_s": 0.75, "wait_s": 0.125,
        "connect_s": 0.0625, "lag_s": 0.0625, "latency_s": 1.5, "service_time_s": 1.25, "ttft_s": 0.5,
        "ttft_sent_s": 0.25, "ttfot_s": 0.5, "tpot_s": 0.25, "itl_s": [0.25, 0.5], "input_tokens": 12,
        "output_tokens": 3, "status": 200, "outcome": "ok", "why": "",
        "tags": [("tenant", "a"), ("length", "long")],
    }  # fmt: skip
    assert (failed["warmup"], failed["sent_s"], failed["service_time_s"]) == (False, None, None)
    assert (failed["status"], failed["outcome"], failed["why"], failed["tags"]) == (
        None,
        "connect",
        "refused",
        [],
    )


def test_the_name_says_whose_it_is_and_is_the_same_each_time(tmp_path):
    assert file_name(HEADER) == "peak.surge-2-3-004.parquet"
    spool = tmp_path / "a.done"
    spool.write_bytes(frame(encode(HEADER)) + frame(encode([STREAM])))
    assert parquet_of(spool)[1] == parquet_of(spool)[1]


def test_a_file_that_was_cut_short_gives_what_is_whole(tmp_path):
    spool = tmp_path / "a.done"
    spool.write_bytes(frame(encode(HEADER)) + frame(encode([STREAM])) + frame(encode([FAILED]))[:-3])
    assert read(spool).num_rows == 1
    spool.write_bytes(frame(encode(HEADER)))
    assert read(spool).num_rows == 0
    spool.write_bytes(b"")
    with pytest.raises(ValueError, match="cut short"):
        parquet_of(spool)
