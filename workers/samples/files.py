"""A spool file of samples -> a Parquet file: one row a request, columns named as in METRICS.md section 1."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from workers.contract.samples import Sample, SpoolHeader, gaps_of, read_spool, trace_id

Column = Callable[[SpoolHeader, Sample], object]

COLUMNS: Final[dict[str, tuple[str, Column]]] = {
    "request_id": ("string", lambda _, one: one.request_id),
    "trace_id": (
        "string",
        lambda head, one: trace_id(head.campaign, one.request_id) if head.traced else None,
    ),
    "phase": ("name", lambda head, _: head.phase),
    "activity": ("name", lambda head, _: head.activity),
    "shard": ("int32", lambda head, _: head.shard),
    "attempt": ("int32", lambda head, _: head.number),
    "index": ("int64", lambda _, one: one.index),
    "warmup": ("bool", lambda head, one: one.intended_s < head.warmup_s),
    "stage": ("name", lambda _, one: one.stage),
    "intended_s": ("float64", lambda _, one: one.intended_s),
    "intended_common_s": ("float64", lambda head, one: head.start_s + one.intended_s),
    "sent_s": ("float64", lambda _, one: one.sent_s),
    "wait_s": ("float64", lambda _, one: one.wait_s),
    "connect_s": ("float64", lambda _, one: one.connect_s),
    "lag_s": ("float64", lambda _, one: one.lag_s),
    "latency_s": ("float64", lambda _, one: one.latency_s),
    "service_time_s": ("float64", lambda _, one: one.service_time_s if one.sent_s is not None else None),
    "ttft_s": ("float64", lambda _, one: one.ttft_s),
    "ttft_sent_s": ("float64", lambda _, one: one.ttft_sent_s),
    "ttfot_s": ("float64", lambda _, one: one.ttfot_s),
    "tpot_s": ("float64", lambda _, one: one.tpot_s),
    "itl_s": ("list<float32>", lambda _, one: gaps_of(one.itl)),
    "input_tokens": ("int64", lambda _, one: one.input_tokens),
    "output_tokens": ("int64", lambda _, one: one.output_tokens),
    "status": ("int32", lambda _, one: one.status or None),
    "outcome": ("name", lambda _, one: one.outcome),
    "why": ("string", lambda _, one: one.why),
    "tags": ("map<string, string>", lambda _, one: list(one.tags.items())),
}
"""Name -> (type, how a row gets it), in the order of the file. `name`: text of few different values."""


def file_name(header: SpoolHeader) -> str:
    """What the Parquet file of a spool file is called: the same however often it is made."""
    activity = header.activity.replace("/", ".")
    return f"{activity}-{header.shard}-{header.number}-{header.place:03d}.parquet"


def parquet_of(spool: Path) -> tuple[SpoolHeader, bytes, int]:
    """(header, Parquet file, rows) of a spool file. Raises OSError, ValueError where it holds no header."""
    import pyarrow as pa  # noqa: PLC0415  # takes 0.2 s, and most workers never need it
    import pyarrow.parquet as pq  # noqa: PLC0415

    header, frames = read_spool(spool)
    schema = pa.schema([(name, _type(pa, kind)) for name, (kind, _) in COLUMNS.items()])
    schema = schema.with_metadata(
        {
            "shakeout.campaign": header.campaign,
            "shakeout.attempt": header.attempt,
            "shakeout.schema": "1",
        }
    )
    batches = []
    for samples in frames:
        arrays = [
            pa.array([column(header, one) for one in samples], type=field.type)
            for field, (_, column) in zip(schema, COLUMNS.values(), strict=True)
        ]
        batches.append(pa.record_batch(arrays, schema=schema))
    table = pa.Table.from_batches(batches, schema=schema).combine_chunks()
    body = io.BytesIO()
    pq.write_table(table, body, compression="zstd")
    return header, body.getvalue(), table.num_rows


def _type(pa: Any, kind: str) -> Any:
    match kind:
        case "name":
            return pa.dictionary(pa.int32(), pa.string())
        case "list<float32>":
            return pa.list_(pa.float32())
        case "map<string, string>":
            return pa.map_(pa.string(), pa.string())
        case "bool":
            return pa.bool_()
        case _:
            return getattr(pa, kind)()
