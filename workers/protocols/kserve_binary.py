"""A V2 request whose tensors go as bytes, and the bytes that come back: the Binary Tensor Data Extension.

The body is JSON, then the data of each binary tensor, in order and without gaps; a header tells how long the
JSON is, and each tensor's `parameters.binary_data_size` how long its data are.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from workers.contract.errors import ProtocolError
from workers.protocols.contract import Headers
from workers.protocols.tensors import TensorError, flat, packed

LENGTH_HEADER: Final = "inference-header-content-length"
MARK: Final = "binary_data"
"""On an output, as the extension says: it is to come as bytes. On a row's input: it is to go so."""
SIZE: Final = "binary_data_size"


def is_marked(tensor: Mapping[str, Any]) -> bool:
    """Whether a row's input says of itself that it is to go as bytes."""
    parameters = tensor.get("parameters")
    return isinstance(parameters, dict) and parameters.get(MARK) is True


def encoded(
    row: Mapping[str, object], inputs: Sequence[Mapping[str, Any]], *, every: bool
) -> tuple[bytes, int]:
    """The body and the length of its JSON; `every` sends all inputs as bytes and asks for all outputs so.

    Raises ProtocolError where an input's data do not fit its datatype and shape.
    """
    tensors: list[Mapping[str, Any]] = []
    parts: list[bytes] = []
    for tensor in inputs:
        if every or is_marked(tensor):
            data = _bytes_of(tensor)
            parts.append(data)
            parameters = {
                key: value for key, value in (tensor.get("parameters") or {}).items() if key != MARK
            }
            kept = {key: value for key, value in tensor.items() if key != "data"}
            tensors.append({**kept, "parameters": {**parameters, SIZE: len(data)}})
        else:
            tensors.append(tensor)
    body = {**row, "inputs": tensors}
    if every:
        _ask_for_bytes(body)
    start = msgspec.json.encode(body)
    return b"".join([start, *parts]), len(start)


def json_length(headers: Headers, body: bytes) -> int:
    """How much of an answer is JSON: all of it, or what its header says. Raises TensorError for nonsense."""
    for name, value in headers:
        if name.lower() == LENGTH_HEADER:
            if not value.isdecimal() or int(value) > len(body):
                raise TensorError(f"{LENGTH_HEADER} is {value[:20]!r}, the body has {len(body)} bytes")
            return int(value)
    return len(body)


def _ask_for_bytes(body: dict[str, Any]) -> None:
    """Mark the request and each output that it names, for servers that look at one of them alone."""
    body["parameters"] = {"binary_data_output": True, **_mapping(body.get("parameters"))}
    outputs = body.get("outputs")
    if isinstance(outputs, list):
        body["outputs"] = [
            {**one, "parameters": {MARK: True, **_mapping(one.get("parameters"))}}
            if isinstance(one, dict)
            else one
            for one in outputs
        ]


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _bytes_of(tensor: Mapping[str, Any]) -> bytes:
    name, shape = tensor.get("name"), tensor.get("shape")
    data = flat(tensor.get("data"))
    wanted = 1
    for size in shape if isinstance(shape, list) else ():
        wanted *= size if isinstance(size, int) else 0
    if len(data) != wanted:
        raise ProtocolError(f"input {name!r} has {len(data)} elements, its shape {shape} wants {wanted}")
    try:
        return packed(str(tensor.get("datatype")), data)
    except TensorError as error:
        raise ProtocolError(f"input {name!r} cannot go as bytes: {error}") from error
