"""The two messages of ModelInfer: a row as ModelInferRequest, and ModelInferResponse read.

Source: Open Inference Protocol V2 over gRPC (grpc_predict_v2.proto): field numbers, contents, raw contents.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from workers.contract.errors import ProtocolError
from workers.protocols.contract import Row
from workers.protocols.protobuf import (
    DELIMITED,
    FIXED32,
    FIXED64,
    VARINT,
    WireError,
    delimited,
    double,
    fields,
    number,
    signed,
    varint,
    varints,
)
from workers.protocols.tensors import TensorError, check_size, count_of, flat, packed, unpacked

_KEYS = frozenset({"id", "parameters", "inputs", "outputs"})
_OF_REST = frozenset({"binary_data", "binary_data_output"})
"""Parameters that say how a tensor goes over REST; here all go as bytes."""
_INT64 = range(-(1 << 63), 1 << 63)


class OutputTensor(msgspec.Struct):
    """One tensor of an answer; `data` is flat, in row-major order."""

    name: str = ""
    datatype: str = ""
    shape: list[int] = []
    data: list[object] = []


class InferAnswer(msgspec.Struct):
    """ModelInferResponse; its JSON is that of the protocol's REST form."""

    model_name: str = ""
    model_version: str = ""
    id: str = ""
    outputs: list[OutputTensor] = []


def write_request(model: bytes, row: Row) -> bytes:
    """A row as ModelInferRequest with raw contents, the form that clients send for speed.

    `model`: the fields that name the model, from `write_model`. Raises ProtocolError, which names the input,
    where the row does not fit.
    """
    unknown = row.keys() - _KEYS
    if unknown:
        listed = ", ".join(sorted(map(repr, unknown)))
        raise ProtocolError(f"an inference has no {listed}; its keys are id, parameters, inputs, outputs")
    inputs = row.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise ProtocolError('a row has "inputs": [{"name", "shape", "datatype", "data"}]')
    parts = [model]
    if row.get("id") is not None:
        parts.append(delimited(3, _text(row["id"], "id")))
    parts += [delimited(4, entry) for entry in _parameters(row.get("parameters"), "the row")]
    raw = []
    for place, tensor in enumerate(inputs):
        meta, contents = _input(tensor, place)
        parts.append(delimited(5, meta))
        raw.append(delimited(7, contents))
    parts += [delimited(6, _requested(one, place)) for place, one in enumerate(_outputs(row))]
    return b"".join(parts + raw)


def write_model(name: str, version: str) -> bytes:
    """The fields of ModelInferRequest, or of ModelReadyRequest, that say which model."""
    return delimited(1, name.encode()) + (delimited(2, version.encode()) if version else b"")


def read_answer(data: bytes, *, values: bool) -> InferAnswer:
    """Read ModelInferResponse; without `values` raw elements are counted, but not read.

    Raises WireError or TensorError where the bytes are no such message.
    """
    answer = InferAnswer(outputs=[])
    contents: list[bytes] = []
    raw: list[bytes] = []
    for field, kind, value in fields(data):
        if kind != DELIMITED or not isinstance(value, bytes):
            if field <= 6:
                raise WireError(f"field {field} of the answer has wire type {kind}")
            continue
        if field == 1:
            answer.model_name = _decoded(value)
        elif field == 2:
            answer.model_version = _decoded(value)
        elif field == 3:
            answer.id = _decoded(value)
        elif field == 5:
            tensor, held = _output(value)
            answer.outputs.append(tensor)
            contents.append(held)
        elif field == 6:
            raw.append(value)
    if raw and len(raw) != len(answer.outputs):
        raise TensorError(f"{len(raw)} raw contents for {len(answer.outputs)} outputs")
    for tensor, held in zip(answer.outputs, raw or contents, strict=True):
        count = count_of(tensor.shape)
        if raw and not values:
            check_size(tensor.datatype, held, count=count)
        else:
            read = unpacked if raw else _typed
            tensor.data = read(tensor.datatype, held, count=count)
    return answer


def _input(tensor: object, place: int) -> tuple[bytes, bytes]:
    """One input without its values, and its values raw."""
    where = f"input {place}"
    if not isinstance(tensor, Mapping):
        raise ProtocolError(f"{where} is no object: write {{name, shape, datatype, data}}")
    name, datatype, shape = tensor.get("name"), tensor.get("datatype"), tensor.get("shape")
    if not isinstance(name, str) or not isinstance(datatype, str) or "data" not in tensor:
        raise ProtocolError(f"{where} needs the texts name and datatype, and data")
    where = f"input {name!r}"
    if not isinstance(shape, list) or not all(type(one) is int and one in _INT64 for one in shape):
        raise ProtocolError(f"{where}: shape is a list of whole numbers, not {shape!r:.80}")
    sizes = b"".join([varint(one) for one in shape])
    parts = [delimited(1, name.encode()), delimited(2, datatype.encode()), delimited(3, sizes)]
    parts += [delimited(4, entry) for entry in _parameters(tensor.get("parameters"), where)]
    try:
        return b"".join(parts), packed(datatype, flat(tensor["data"]))
    except TensorError as error:
        raise ProtocolError(f"{where}: {error}") from None


def _outputs(row: Row) -> Sequence[object]:
    outputs = row.get("outputs") or []
    if not isinstance(outputs, list):
        raise ProtocolError('"outputs" of a row is a list: [{"name": ...}]')
    return outputs


def _requested(one: object, place: int) -> bytes:
    if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
        raise ProtocolError(f"output {place} that is asked for needs the text name")
    entries = _parameters(one.get("parameters"), f"output {one['name']!r}")
    return b"".join([delimited(1, one["name"].encode()), *(delimited(2, entry) for entry in entries)])


def _parameters(given: object, where: str) -> list[bytes]:
    """Entries of a map<string, InferParameter>."""
    if given is None:
        return []
    if not isinstance(given, Mapping):
        raise ProtocolError(f"{where}: parameters is an object of names and values")
    return [
        delimited(1, _text(name, where)) + delimited(2, _parameter(value, f"{where}: parameter {name!r}"))
        for name, value in given.items()
        if name not in _OF_REST
    ]


def _parameter(value: object, where: str) -> bytes:
    if isinstance(value, bool):
        return number(1, value)
    if isinstance(value, int) and value in _INT64:
        return number(2, value)
    if isinstance(value, float):
        return double(4, value)
    if isinstance(value, str):
        return delimited(3, value.encode())
    raise ProtocolError(f"{where} is {value!r:.60}; over gRPC it is a text, a number, true or false")


def _text(value: object, where: str) -> bytes:
    if not isinstance(value, str):
        raise ProtocolError(f"{where} is {value!r:.60}, not a text")
    return value.encode()


def _output(data: bytes) -> tuple[OutputTensor, bytes]:
    """One output without its values, and its typed contents, unread."""
    tensor = OutputTensor(shape=[])
    contents = b""
    for field, _, value in fields(data):
        if field == 3:  # packed, or one at a time as proto2 wrote it
            sizes = varints(value) if isinstance(value, bytes) else [value]
            tensor.shape += map(signed, sizes)
        elif not isinstance(value, bytes):
            continue
        elif field == 1:
            tensor.name = _decoded(value)
        elif field == 2:
            tensor.datatype = _decoded(value)
        elif field == 5:
            contents = value
    return tensor, contents


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _bool(value: int) -> object:
    return bool(value)


def _int32(value: int) -> object:
    return signed(value, bits=32)


def _uint32(value: int) -> object:
    return value & 0xFFFFFFFF


_INTEGERS: Final[Mapping[int, Callable[[int], object]]] = {
    1: _bool,
    2: _int32,
    3: signed,
    4: _uint32,
    5: int,
}
"""Fields of InferTensorContents that hold varints."""
_HALVES = frozenset({"FP16", "BF16"})
_FLOATS: Final = {6: ("f", FIXED32), 7: ("d", FIXED64)}


def _typed(datatype: str, contents: bytes, *, count: int) -> list[object]:
    """The elements of InferTensorContents, whichever of its lists holds them. Raises as `read_answer`."""
    found: list[object] = []
    for field, kind, value in fields(contents):
        if field in _INTEGERS:
            values = varints(value) if isinstance(value, bytes) else [value]
            found += map(_INTEGERS[field], values)
        elif field in _FLOATS and isinstance(value, bytes):
            found += _floats(value, _FLOATS[field][0])
        elif field == 8 and isinstance(value, bytes):
            # 16-bit floats have no list of their own; some servers put their raw bytes here
            found += (
                unpacked(datatype, value, count=len(value) // 2) if datatype in _HALVES else [_decoded(value)]
            )
        elif kind == VARINT or field <= 8:
            raise WireError(f"contents with field {field} of wire type {kind}")
    if len(found) != count:
        raise TensorError(f"{len(found)} elements of {datatype}, though its shape has {count}")
    return found


def _floats(value: bytes, letter: str) -> list[object]:
    size = struct.calcsize(f"<{letter}")
    if len(value) % size:
        raise WireError(f"{len(value)} bytes of numbers of {size} bytes each")
    return list(struct.unpack(f"<{len(value) // size}{letter}", value))
