"""The Open Inference Protocol: OUTPUT0 holds, for each row of the first input, the sum of its data."""

import math
from dataclasses import replace
from typing import Annotated, Any

import msgspec

from workers.demo_target import binary
from workers.demo_target.answer import Reply, json_reply
from workers.demo_target.settings import Settings

INPUT, OUTPUT = "INPUT0", "OUTPUT0"
VERSION = "1"
MAX_RANK = 32  # deeper shapes and deeper nested data are refused
DATATYPES = frozenset(
    ["BOOL", "BYTES", "BF16", "FP16", "FP32", "FP64"]
    + [f"{sign}{bits}" for sign in ("INT", "UINT") for bits in (8, 16, 32, 64)]
)
_Size = Annotated[int, msgspec.Meta(ge=1)]


class Tensor(msgspec.Struct, frozen=True):
    """An input: `data` flat in row-major order, nested as the shape says, or behind the JSON as bytes."""

    name: str
    shape: Annotated[list[_Size], msgspec.Meta(min_length=1, max_length=MAX_RANK)]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class Wanted(msgspec.Struct, frozen=True):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class InferBody(msgspec.Struct, frozen=True):
    """Body of POST /v2/models/MODEL/infer; fields that are not here are ignored."""

    inputs: Annotated[list[Tensor], msgspec.Meta(min_length=1)]
    id: str | None = None
    outputs: list[Wanted] = []
    parameters: dict[str, Any] = {}


_read = msgspec.json.Decoder(InferBody).decode


def infer(
    body: bytes, *, model: str, version: str | None, settings: Settings, json_length: str | None = None
) -> Reply:
    """Answer an inference after the service time; `json_length`: the header that binary tensors come with.

    Raises msgspec.DecodeError on a body that is no JSON or not the JSON of an inference, and
    msgspec.ValidationError where shape, datatype and data do not fit together.
    """
    text, rest = binary.split(body, json_length)
    asked = _read(text)
    inputs = _filled(asked.inputs, rest)
    sums = row_sums(inputs[0])
    output: dict[str, object] = {"name": OUTPUT, "shape": [len(sums)], "datatype": "FP32"}
    answer: dict[str, object] = {"model_name": model, "model_version": version or VERSION}
    if asked.id is not None:
        answer["id"] = asked.id
    if not _wants_bytes(asked):
        answer["outputs"] = [{**output, "data": sums}]
        return json_reply(answer, delay_s=settings.service_time_s)
    data = binary.floats(sums)
    answer["outputs"] = [{**output, "parameters": {"binary_data_size": len(data)}}]
    reply = json_reply(answer, delay_s=settings.service_time_s)
    headers = ((binary.LENGTH_HEADER, str(len(reply.body))),)
    return replace(reply, body=reply.body + data, headers=headers, content_type="application/octet-stream")


def row_sums(tensor: Tensor) -> list[float]:
    """Sum of the data of each row, a row being an index of the first dimension.

    Raises msgspec.ValidationError where the data are not finite numbers, or not as many as the shape says.
    """
    flat = _flat(tensor)
    rows = tensor.shape[0]
    width = len(flat) // rows
    try:
        sums = [math.fsum(flat[row * width : (row + 1) * width]) for row in range(rows)]
    except (TypeError, OverflowError) as error:
        raise msgspec.ValidationError(f"input {tensor.name!r} cannot be summed: {error}") from error
    return sums


def metadata(model: str) -> Reply:
    """What GET /v2/models/MODEL tells."""
    return json_reply(
        {
            "name": model,
            "versions": [VERSION],
            "platform": "shakeout_demo",
            "inputs": [{"name": INPUT, "datatype": "FP32", "shape": [-1, -1]}],
            "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1]}],
        }
    )


def _filled(inputs: list[Tensor], rest: bytes) -> list[Tensor]:
    """The inputs checked, those that came as bytes with their data."""
    found: list[Tensor] = []
    for tensor in inputs:
        size = tensor.parameters.get("binary_data_size")
        if isinstance(size, int) and tensor.datatype in DATATYPES:
            data = binary.values(tensor.datatype, rest[:size])
            rest = rest[max(size, 0) :]
            tensor = msgspec.structs.replace(tensor, data=data)  # noqa: PLW2901  # the same input, whole
        _check(tensor)
        found.append(tensor)
    if rest:
        raise msgspec.ValidationError(f"{len(rest)} bytes belong to no input")
    return found


def _wants_bytes(asked: InferBody) -> bool:
    """Whether OUTPUT0 is to go as bytes: what is said of the output itself wins."""
    for wanted in asked.outputs:
        if wanted.name == OUTPUT and "binary_data" in wanted.parameters:
            return wanted.parameters["binary_data"] is True
    return asked.parameters.get("binary_data_output") is True


def _check(tensor: Tensor) -> None:
    if tensor.datatype not in DATATYPES:
        known = ", ".join(sorted(DATATYPES))
        raise msgspec.ValidationError(
            f"input {tensor.name!r} has datatype {tensor.datatype!r}, wanted {known}"
        )
    _flat(tensor)


def _flat(tensor: Tensor) -> list[Any]:
    """Its data in one list; refused where they are not as many as the shape says."""
    if tensor.data is None:
        raise msgspec.ValidationError(f"input {tensor.name!r} has no data")
    flat = tensor.data
    if flat and isinstance(flat[0], list):
        flat = _flatten(flat, depth=1)
    wanted = math.prod(tensor.shape)
    if len(flat) != wanted:
        raise msgspec.ValidationError(
            f"input {tensor.name!r} has {len(flat)} values, its shape {tensor.shape} wants {wanted}"
        )
    return flat


def _flatten(nested: list[Any], *, depth: int) -> list[Any]:
    if depth > MAX_RANK:
        raise msgspec.ValidationError(f"data are nested deeper than {MAX_RANK}")
    flat: list[Any] = []
    for item in nested:
        if isinstance(item, list):
            flat.extend(_flatten(item, depth=depth + 1))
        else:
            flat.append(item)
    return flat
