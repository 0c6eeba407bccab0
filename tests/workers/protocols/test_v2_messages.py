"""The messages of ModelInfer, held against Google's own Protocol Buffers with the published field numbers."""

import math
import struct

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.errors import ProtocolError
from workers.protocols.protobuf import WireError
from workers.protocols.tensors import TensorError
from workers.protocols.v2_messages import read_answer, write_model, write_request

KINDS = descriptor_pb2.FieldDescriptorProto
SCALARS = {
    "string": KINDS.TYPE_STRING, "bytes": KINDS.TYPE_BYTES, "bool": KINDS.TYPE_BOOL,
    "int32": KINDS.TYPE_INT32,
    "int64": KINDS.TYPE_INT64, "uint32": KINDS.TYPE_UINT32, "uint64": KINDS.TYPE_UINT64,
    "float": KINDS.TYPE_FLOAT, "double": KINDS.TYPE_DOUBLE,
}  # fmt: skip
TENSOR = "1 name string, 2 datatype string, 3 shape *int64, 4 parameters *Entry, 5 contents Contents"
MESSAGES = {
    "Parameter": "1 bool_param bool, 2 int64_param int64, 3 string_param string, 4 double_param double",
    "Entry": "1 key string, 2 value Parameter",  # a map on the wire
    "Contents": (
        "1 bool_contents *bool, 2 int_contents *int32, 3 int64_contents *int64, 4 uint_contents *uint32, "
        "5 uint64_contents *uint64, 6 fp32_contents *float, 7 fp64_contents *double, 8 bytes_contents *bytes"
    ),
    "Tensor": TENSOR,
    "Requested": "1 name string, 2 parameters *Entry",
    "Request": (
        "1 model_name string, 2 model_version string, 3 id string, 4 parameters *Entry, 5 inputs *Tensor, "
        "6 outputs *Requested, 7 raw_input_contents *bytes"
    ),
    "Response": (
        "1 model_name string, 2 model_version string, 3 id string, 4 parameters *Entry, 5 outputs *Tensor, "
        "6 raw_output_contents *bytes"
    ),
}


def classes() -> dict[str, type]:
    """Google's classes for these messages, made at run time."""
    file = descriptor_pb2.FileDescriptorProto(name="v2.proto", package="v2", syntax="proto3")
    for name, members in MESSAGES.items():
        message = file.message_type.add(name=name)
        for member in members.split(", "):
            number, field, kind = member.split()
            label = KINDS.LABEL_REPEATED if kind.startswith("*") else KINDS.LABEL_OPTIONAL
            kind = kind.removeprefix("*")
            more = {"type_name": f".v2.{kind}"} if kind in MESSAGES else {}
            type_ = SCALARS.get(kind, KINDS.TYPE_MESSAGE)
            message.field.add(name=field, number=int(number), label=label, type=type_, **more)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"v2.{name}")) for name in MESSAGES
    }


V2 = classes()
MODEL = write_model("m", "3")


def asked(row: dict[str, object]):
    return V2["Request"].FromString(write_request(MODEL, row))


def tensor(data: object, *, datatype: str = "FP32", shape: list[int] | None = None, **more: object):
    return {"name": "x", "shape": shape or [1], "datatype": datatype, "data": data, **more}


def test_a_row_is_read_by_google_as_it_was_written():
    request = asked(
        {
            "id": "seven",
            "parameters": {"text": "ü", "whole": -3, "half": 0.5, "yes": True},
            "inputs": [
                tensor(
                    [[1, 2.5], [3, -4]], shape=[2, 2], parameters={"content_type": "np", "binary_data": True}
                ),
                tensor(["a", "zwölf"], datatype="BYTES", shape=[2]),
            ],
            "outputs": [{"name": "y", "parameters": {"classification": 2}}],
        }
    )
    assert (request.model_name, request.model_version, request.id) == ("m", "3", "seven")
    read = {entry.key: entry.value for entry in request.parameters}
    assert read["text"].string_param == "ü"
    assert (read["whole"].int64_param, read["half"].double_param, read["yes"].bool_param) == (-3, 0.5, True)
    first, second = request.inputs
    assert (first.name, first.datatype, list(first.shape)) == ("x", "FP32", [2, 2])
    assert [(one.key, one.value.string_param) for one in first.parameters] == [("content_type", "np")]
    assert (second.datatype, list(second.shape)) == ("BYTES", [2])
    assert struct.unpack("<4f", request.raw_input_contents[0]) == (1, 2.5, 3, -4)
    assert request.raw_input_contents[1] == b"\1\0\0\0a\6\0\0\0zw\xc3\xb6lf"
    (wanted,) = request.outputs
    assert (wanted.name, wanted.parameters[0].value.int64_param) == ("y", 2)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5), st.integers(-(2**63), 2**63 - 1), st.text())
def test_any_numbers_and_texts_are_read_by_google_as_they_were_written(shape, whole, text):
    if not shape:
        return
    row = {"id": text, "parameters": {text: whole}, "inputs": [tensor([1], shape=shape)]}
    request = asked(row)
    assert request.id == text
    assert list(request.inputs[0].shape) == shape
    assert request.parameters[0].key == text
    assert request.parameters[0].value.int64_param == whole


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({}, '"inputs"'),
        ({"inputs": {}}, '"inputs"'),
        ({"inputs": [1]}, "input 0 is no object"),
        ({"inputs": [{"name": "x"}]}, "input 0 needs the texts name and datatype, and data"),
        ({"inputs": [tensor([1], shape=["a"])]}, "input 'x': shape is a list of whole numbers"),
        ({"inputs": [tensor([1], shape=[2**63])]}, "input 'x': shape is a list of whole numbers"),
        ({"inputs": [tensor(["a"])]}, "input 'x': FP32 cannot hold"),
        ({"inputs": [tensor([None])]}, "input 'x': FP32 cannot hold"),
        ({"inputs": [tensor([300], datatype="UINT8")]}, "input 'x': UINT8 cannot hold"),
        ({"inputs": [tensor([1], datatype="FP65")]}, "input 'x': datatype 'FP65'"),
        ({"inputs": [tensor([1])], "id": 7}, "id is 7, not a text"),
        ({"inputs": [tensor([1])], "parameters": {"p": [1]}}, "the row: parameter 'p' is [1]"),
        ({"inputs": [tensor([1])], "parameters": {"p": 2**70}}, "the row: parameter 'p'"),
        ({"inputs": [tensor([1])], "parameters": 3}, "the row: parameters is an object"),
        ({"inputs": [tensor([1], parameters={"p": None})]}, "input 'x': parameter 'p'"),
        ({"inputs": [tensor([1])], "outputs": [{}]}, "output 0 that is asked for"),
        ({"inputs": [tensor([1])], "outputs": "y"}, '"outputs" of a row is a list'),
        ({"inputs": [tensor([1])], "prompt": "x"}, "has no 'prompt'"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_and_says_where(row, text):
    with pytest.raises(ProtocolError) as caught:
        write_request(MODEL, row)
    assert text in str(caught.value)


TYPED = [
    ("BOOL", "bool_contents", [True, False]),
    ("INT8", "int_contents", [-128, 127]),
    ("INT32", "int_contents", [-(2**31), 2**31 - 1]),
    ("INT64", "int64_contents", [-(2**63), 2**63 - 1]),
    ("UINT16", "uint_contents", [0, 2**16 - 1]),
    ("UINT64", "uint64_contents", [0, 2**64 - 1]),
    ("FP32", "fp32_contents", [0.5, -math.inf]),
    ("FP64", "fp64_contents", [0.1, 1e300]),
    ("BYTES", "bytes_contents", ["a", "zwölf"]),
]


@pytest.mark.parametrize(("datatype", "field", "values"), TYPED)
def test_typed_contents_are_read_whichever_list_holds_them(datatype, field, values):
    wire = [value.encode() if isinstance(value, str) else value for value in values]
    output = V2["Tensor"](name="y", datatype=datatype, shape=[2], contents=V2["Contents"](**{field: wire}))
    answer = read_answer(V2["Response"](outputs=[output]).SerializeToString(), values=True)
    assert answer.outputs[0].data == values


def test_raw_contents_are_read_in_the_order_of_the_outputs():
    outputs = [
        V2["Tensor"](name="half", datatype="FP16", shape=[2]),
        V2["Tensor"](name="brain", datatype="BF16", shape=[1]),
        V2["Tensor"](name="text", datatype="BYTES", shape=[1]),
        V2["Tensor"](name="one", datatype="FP64", shape=[]),
    ]
    raw = [struct.pack("<2e", 0.5, 2), b"\xc0\x3f", b"\2\0\0\0ab", struct.pack("<d", 0.1)]
    said = V2["Response"](
        model_name="m", model_version="3", id="seven", outputs=outputs, raw_output_contents=raw,
        parameters=[V2["Entry"](key="k", value=V2["Parameter"](int64_param=1))],
    )  # fmt: skip
    answer = read_answer(said.SerializeToString(), values=True)
    assert (answer.model_name, answer.model_version, answer.id) == ("m", "3", "seven")
    assert {one.name: one.data for one in answer.outputs} == {
        "half": [0.5, 2.0], "brain": [1.5], "text": ["ab"], "one": [0.1],
    }  # fmt: skip


def test_16_bit_floats_among_the_typed_contents_are_raw_bytes():
    contents = V2["Contents"](bytes_contents=[struct.pack("<2e", 0.5, 2)])
    output = V2["Tensor"](name="y", datatype="FP16", shape=[2], contents=contents)
    answer = read_answer(V2["Response"](outputs=[output]).SerializeToString(), values=True)
    assert answer.outputs[0].data == [0.5, 2.0]


def test_numbers_that_are_not_packed_and_fields_that_nobody_knows_are_read_too():
    contents = b"\x18\x05\x18\x06"  # int64_contents one by one
    output = b"\x0a\x01y\x12\x05INT64\x18\x02\x2a" + bytes([len(contents)]) + contents
    future = b"\xf8\x01\x07" + b"\xfd\x01abcd" + b"\xf9\x01abcdefgh"
    answer = read_answer(b"\x2a" + bytes([len(output)]) + output + future, values=True)
    assert answer.outputs[0].data == [5, 6]
    assert answer.outputs[0].shape == [2]


@pytest.mark.parametrize("values", [True, False])
@pytest.mark.parametrize(
    ("outputs", "raw"),
    [
        ([V2["Tensor"](name="y", datatype="FP32", shape=[2])], [b"1234"]),
        ([V2["Tensor"](name="y", datatype="FP32", shape=[2])], [b"12345678", b"1234"]),
        ([V2["Tensor"](name="y", datatype="FP32", shape=[-2])], [b"12345678"]),
        ([V2["Tensor"](name="y", datatype="FP65", shape=[2])], [b"12345678"]),
    ],
)
def test_raw_contents_that_do_not_fit_their_tensor_are_no_answer(outputs, raw, values):
    said = V2["Response"](outputs=outputs, raw_output_contents=raw).SerializeToString()
    with pytest.raises(TensorError):
        read_answer(said, values=values)


def test_typed_contents_that_do_not_fit_their_shape_are_no_answer():
    output = V2["Tensor"](name="y", datatype="FP32", shape=[3], contents=V2["Contents"](fp32_contents=[1, 2]))
    with pytest.raises(TensorError, match="2 elements of FP32, though its shape has 3"):
        read_answer(V2["Response"](outputs=[output]).SerializeToString(), values=True)


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_an_answer_or_refused(data, values):
    try:
        read_answer(data, values=values)
    except (WireError, TensorError) as error:
        assert str(error)  # noqa: PT017  # either is right
