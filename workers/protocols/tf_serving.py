"""TensorFlow Serving over REST: POST url + /v1/models/MODEL[/versions/V]:predict.

Fields of an answer: status; for regression also predictions (rows in, rows out) or outputs (columns in,
columns out) as the body has them, each named output's data (flat), json and text. `status` is always HTTP's.
"""

import math
from typing import Any, ClassVar

import msgspec

from workers.contract.errors import ProtocolError
from workers.contract.json_text import decode
from workers.protocols.bodies import base_fields, http_failure, is_html, joined
from workers.protocols.contract import NO_TIMING, Answer, Headers, Pieces, Request, Row, Timing, failed
from workers.protocols.openai_body import header_lines
from workers.protocols.openai_wire import error_message
from workers.protocols.tensors import TensorError, flat
from workers.protocols.urls import HasModel, join_path, model_path

_TENSOR = frozenset({"name", "shape", "data"})


class PredictOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The target's keys."""

    model: str
    url: str = ""
    version: str = ""


class TFServing:
    """TensorFlow Serving's predict over REST, by rows (`instances`) or by columns (`inputs`)."""

    Options: ClassVar[type[PredictOptions]] = PredictOptions
    works: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True
    streams: ClassVar[bool] = False

    def __init__(self, options: PredictOptions, *, seed: int, for_regression: bool) -> None:  # noqa: ARG002  # all kinds alike
        self._path = join_path(options.url, f"/v1{model_path(options.model, options.version)}:predict")
        self._keep = for_regression
        self._headers = header_lines(stream=False)

    @staticmethod
    def readiness_paths(options: HasModel) -> tuple[str, ...]:
        """Where to ask whether the model is ready: the page of its status, which infers nothing."""
        return (join_path(options.url, f"/v1{model_path(options.model, options.version)}"),)

    def build(self, row: Row) -> Request:
        """A request from a body with `instances` or `inputs`.

        `inputs` that are tensors with name, shape and data, as tables make them, become columns by name.
        Raises ProtocolError for a row with neither or both, and for a tensor whose data do not fit its shape.
        """
        given = [key for key in ("instances", "inputs") if row.get(key) is not None]
        if len(given) != 1:
            raise ProtocolError(_not_one(row))
        instances, inputs = row.get("instances"), row.get("inputs")
        if instances is not None and (not isinstance(instances, list) or not instances):
            raise ProtocolError('"instances" must be a list that is not empty')
        body = {**row, "inputs": _columns(inputs)} if _are_tensors(inputs) else row
        results = len(instances) if isinstance(instances, list) else None
        data = msgspec.json.encode(body)
        return Request("POST", self._path, data, self._headers, stream=False, results=results)

    def parse(self, status: int, headers: Headers, body: bytes) -> Answer:
        """Read an answer: predictions or outputs, and no error."""
        if not 200 <= status < 300:
            return http_failure(status, body, keep=self._keep, headers=headers)
        fields = base_fields(status, body, keep=self._keep)
        if is_html(headers, body):
            return failed("invalid", "answered HTML, not JSON", fields)
        try:
            value = decode(body)
        except ValueError as error:
            return failed("invalid", f"the body is {error}", fields)
        if isinstance(value, dict) and "error" in value:
            why = f"status {status} with an error inside: {error_message(value['error'])}"
            return failed("invalid", why, fields)
        predictions = value.get("predictions") if isinstance(value, dict) else None
        outputs = value.get("outputs") if isinstance(value, dict) else None
        if not isinstance(predictions, list) and outputs is None:
            return failed("invalid", "the body has neither a list of predictions nor outputs", fields)
        results = len(predictions) if isinstance(predictions, list) else None
        if self._keep:
            try:
                fields |= {**_by_name(predictions, outputs), "status": status}
            except TensorError as error:
                return failed("invalid", str(error), fields)
        return Answer(fields, None, None, ok=True, kind="ok", results=results)

    def parse_stream(self, status: int, headers: Headers, chunks: Pieces) -> tuple[Answer, Timing]:
        """Read the pieces as one body; there is no timing inside it."""
        return self.parse(status, headers, joined(chunks)), NO_TIMING


def _by_name(predictions: list[Any] | None, outputs: object) -> dict[str, object]:
    """The body's own key, and the data of each named output."""
    if predictions is None:
        named = outputs if isinstance(outputs, dict) else {}
        return {"outputs": outputs, **{name: flat(data) for name, data in named.items()}}
    fields: dict[str, object] = {"predictions": predictions}
    if predictions and all(isinstance(one, dict) for one in predictions):
        for name in predictions[0]:
            fields[name] = flat([one.get(name) for one in predictions])
    return fields


def _are_tensors(inputs: object) -> bool:
    """Whether these are tensors as a table makes them (CAMPAIGN.md section 8), not columns."""
    return (
        isinstance(inputs, list)
        and bool(inputs)
        and all(isinstance(one, dict) and one.keys() >= _TENSOR for one in inputs)
    )


def _columns(tensors: Any) -> dict[str, object]:
    return {str(one["name"]): _nested(one) for one in tensors}


def _nested(tensor: dict[str, Any]) -> object:
    """A tensor's data, nested as its shape says."""
    name, shape, data = tensor["name"], tensor["shape"], flat(tensor["data"])
    fits = isinstance(shape, list) and all(isinstance(size, int) and size >= 0 for size in shape)
    if not fits or math.prod(shape) != len(data):
        raise ProtocolError(f"input {name!r} has {len(data)} elements, its shape is {shape}")
    for size in reversed(shape[1:]):
        data = [data[at : at + size] for at in range(0, len(data), size)] if size else [[]] * shape[0]
    return data if shape else data[0]


def _not_one(row: Row) -> str:
    has = ", ".join(sorted(row)[:8]) or "nothing"
    return f'a tf-serving row needs "instances" (rows) or "inputs" (columns), one of them; it has: {has}'
