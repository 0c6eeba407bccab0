"""The Open Inference Protocol (V2) over REST: POST url + /v2/models/MODEL[/versions/V]/infer.

Fields of an answer: status; for regression also each output by its name (its data, flat), json and text (of
the JSON part). An output called `status` is not shown, one called `json` or `text` hides the body's.
"""

from typing import Any, ClassVar

import msgspec

from workers.contract.errors import ProtocolError
from workers.contract.json_text import decode
from workers.protocols import kserve_binary
from workers.protocols.bodies import base_fields, http_failure, is_html, joined
from workers.protocols.contract import NO_TIMING, Answer, Headers, Pieces, Request, Row, Timing, failed
from workers.protocols.openai_wire import error_message
from workers.protocols.tensors import TensorError, check_size, count_of, flat, unpacked
from workers.protocols.urls import join_path, model_path, v2_paths

_JSON = (("content-type", "application/json"), ("accept", "application/json"))


class V2Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The target's keys; `binary` sends every tensor as bytes and asks for the outputs so."""

    model: str
    url: str = ""
    version: str = ""
    binary: bool = False


class Output(msgspec.Struct):
    """One output; its data are here, or behind the JSON, as long as `parameters.binary_data_size` says."""

    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] | None = None


class Body(msgspec.Struct):
    """The parts of an answer that are read."""

    outputs: list[Output] | None = None
    error: object = None


_read = msgspec.json.Decoder(Body).decode


class KServeV2:
    """The Open Inference Protocol over REST, in JSON or binary tensors.

    A row's input goes as bytes where its `parameters` say `binary_data: true`, or all do with `binary`.
    """

    Options: ClassVar[type[V2Options]] = V2Options
    works: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True
    streams: ClassVar[bool] = False
    readiness_paths = staticmethod(v2_paths)

    def __init__(self, options: V2Options, *, seed: int, for_regression: bool) -> None:  # noqa: ARG002  # all kinds alike
        self._path = join_path(options.url, f"/v2{model_path(options.model, options.version)}/infer")
        self._binary = options.binary
        self._keep = for_regression

    def build(self, row: Row) -> Request:
        """A request from a body with `inputs`, sent as it is but for inputs that go as bytes.

        Whether data fit their shape is the target's to judge, except of inputs that go as bytes. Raises
        ProtocolError for a row without inputs, and for data that no bytes can be made of.
        """
        inputs = row.get("inputs")
        if not isinstance(inputs, list) or not inputs or not all(isinstance(one, dict) for one in inputs):
            raise ProtocolError(_no_inputs(row))
        outputs = row.get("outputs")
        results = len(outputs) if isinstance(outputs, list) and outputs else None
        if not self._binary and not any(map(kserve_binary.is_marked, inputs)):
            body = msgspec.json.encode(row)
            return Request("POST", self._path, body, _JSON, stream=False, results=results)
        body, length = kserve_binary.encoded(row, inputs, every=self._binary)
        headers = (
            ("content-type", "application/octet-stream"),
            (kserve_binary.LENGTH_HEADER, str(length)),
        )
        return Request("POST", self._path, body, headers, stream=False, results=results)

    def parse(self, status: int, headers: Headers, body: bytes) -> Answer:
        """Read an answer: each output must hold as many elements as its shape says."""
        if not 200 <= status < 300:
            return http_failure(status, body, keep=self._keep, headers=headers)
        length = len(body)
        try:
            length = kserve_binary.json_length(headers, body)
            found = _decoded(body[:length])
            values = self._values(found.outputs or [], body[length:])
        except (TensorError, msgspec.ValidationError) as error:
            why = str(error) if isinstance(error, TensorError) else f"the body is no V2 answer: {error}"
            return failed("invalid", why, base_fields(status, body[:length], keep=self._keep))
        except ValueError as error:
            why = "answered HTML, not JSON" if is_html(headers, body) else f"the body is {error}"
            return failed("invalid", why, base_fields(status, body, keep=self._keep))
        fields = base_fields(status, body[:length], keep=self._keep)
        if found.error is not None:
            why = f"status {status} with an error inside: {error_message(found.error)}"
            return failed("invalid", why, fields)
        if not found.outputs:
            return failed("invalid", "the body has no outputs", fields)
        fields = {**fields, **values, "status": status}
        return Answer(fields, None, None, ok=True, kind="ok", results=len(found.outputs))

    def parse_stream(self, status: int, headers: Headers, chunks: Pieces) -> tuple[Answer, Timing]:
        """Read the pieces as one body; there is no timing inside it."""
        return self.parse(status, headers, joined(chunks)), NO_TIMING

    def _values(self, outputs: list[Output], rest: bytes) -> dict[str, object]:
        """Each output's data by its name, none where nobody wants them. Raises TensorError."""
        values: dict[str, object] = {}
        at = 0
        for output in outputs:
            size = (output.parameters or {}).get(kserve_binary.SIZE)
            try:
                count = count_of(output.shape)
                if isinstance(size, int):
                    data = rest[at : at + size]
                    at += max(size, 0)
                    if self._keep:
                        values[output.name] = unpacked(output.datatype, data, count=count)
                    else:
                        check_size(output.datatype, data, count=count)
                else:
                    values[output.name] = _checked(output, count)
            except TensorError as error:
                raise TensorError(f"output {output.name!r}: {error}") from None
        if at != len(rest):
            raise TensorError(f"the outputs name {at} bytes of binary data, {len(rest)} came")
        return values if self._keep else {}


def _decoded(text: bytes) -> Body:
    """Raises ValueError for what is no JSON, msgspec's ValidationError for JSON of another form."""
    try:
        return _read(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.convert(decode(text), Body)  # NaN and the like, and better words


def _checked(output: Output, count: int) -> list[object]:
    data = flat(output.data)
    if len(data) != count:
        raise TensorError(f"shape {output.shape} wants {count} elements, data hold {len(data)}")
    return data


def _no_inputs(row: Row) -> str:
    has = ", ".join(sorted(row)[:8]) or "nothing"
    return f'a kserve-v2 row needs "inputs", a list of tensors; this one has: {has}'
