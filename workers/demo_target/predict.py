"""TensorFlow Serving's predict: of each row the sum of its numbers; rows in, rows out, columns likewise."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from workers.demo_target.answer import Reply, json_reply
from workers.demo_target.infer import MAX_RANK, VERSION
from workers.demo_target.settings import Settings


class PredictBody(msgspec.Struct, frozen=True):
    """Body of POST /v1/models/MODEL:predict: rows, or columns; fields that are not here are ignored."""

    instances: list[Any] | None = None
    inputs: Any = None


_read = msgspec.json.Decoder(PredictBody).decode


def predict(body: bytes, *, settings: Settings) -> Reply:
    """Answer after the service time.

    Raises msgspec.DecodeError on a body that is no JSON, msgspec.ValidationError where rows are no numbers.
    """
    asked = _read(body)
    if asked.instances:
        sums = [math.fsum(_numbers(row)) for row in asked.instances]
        return json_reply({"predictions": sums}, delay_s=settings.service_time_s)
    if not asked.inputs:
        raise msgspec.ValidationError("neither instances nor inputs")
    columns = list(asked.inputs.values()) if isinstance(asked.inputs, dict) else [asked.inputs]
    columns = [one if isinstance(one, list) else [one] for one in columns]
    if len({len(one) for one in columns}) != 1:
        raise msgspec.ValidationError("the columns have unlike numbers of rows")
    sums = [math.fsum(_numbers(list(row))) for row in zip(*columns, strict=True)]
    return json_reply({"outputs": sums}, delay_s=settings.service_time_s)


def model_status() -> Reply:
    """What GET /v1/models/MODEL tells."""
    status = {"error_code": "OK", "error_message": ""}
    return json_reply(
        {"model_version_status": [{"version": VERSION, "state": "AVAILABLE", "status": status}]}
    )


def _numbers(row: Any, depth: int = 1) -> Iterator[float]:
    if depth > MAX_RANK:
        raise msgspec.ValidationError(f"rows are nested deeper than {MAX_RANK}")
    if isinstance(row, dict | list):
        for one in row.values() if isinstance(row, dict) else row:
            yield from _numbers(one, depth + 1)
    elif isinstance(row, int | float):
        yield float(row)
    else:
        raise msgspec.ValidationError(f"{row!r:.40} is no number")
