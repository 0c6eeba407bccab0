"""The Open Inference Protocol over gRPC: ModelInfer, one unary call a request.

Fields of an answer: status (the HTTP status of its gRPC code); for regression also each output by its name
(its data, flat), json (the answer as REST would write it) and text (the same as text). An output called
`status` is not shown, one called `json` or `text` hides the whole answer's.
"""

from typing import ClassVar

import msgspec

from workers.protocols.contract import NO_TIMING, Answer, Headers, Pieces, Request, Row, Timing, failed
from workers.protocols.grpc_status import words_of
from workers.protocols.protobuf import WireError, fields
from workers.protocols.tensors import TensorError
from workers.protocols.urls import join_path
from workers.protocols.v2_messages import InferAnswer, read_answer, write_model, write_request

SERVICE = "/inference.GRPCInferenceService/"
READY_FIELD = 1
"""`bool ready` of ServerReadyResponse and of ModelReadyResponse."""


class GrpcOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The target's keys; without a version the server chooses."""

    model: str
    url: str = ""
    version: str = ""


class KServeV2Grpc:
    """ModelInfer of inference.GRPCInferenceService at the url's host and port; rows as for kserve-v2."""

    Options: ClassVar[type[GrpcOptions]] = GrpcOptions
    works: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True
    streams: ClassVar[bool] = False
    transport: ClassVar[str] = "grpc"

    def __init__(self, options: GrpcOptions, *, seed: int, for_regression: bool) -> None:  # noqa: ARG002  # all kinds alike
        self._path = join_path(options.url, SERVICE + "ModelInfer")
        self._model = write_model(options.model, options.version)
        self._ready_calls = tuple(
            Request("POST", join_path(options.url, SERVICE + call), body, (), stream=False)
            for call, body in (("ServerReady", b""), ("ModelReady", self._model))
        )
        self._keep_values = for_regression

    @staticmethod
    def readiness_paths(options: GrpcOptions) -> tuple[str, ...]:  # noqa: ARG004  # all kinds alike
        """No path of HTTP: readiness is asked by `ready_calls`."""
        return ()

    def ready_calls(self) -> tuple[Request, ...]:
        """Calls that ask for readiness, in order; none of them makes the target infer."""
        return self._ready_calls

    @staticmethod
    def says_ready(body: bytes) -> bool:
        """Whether the answer to such a call says yes; what cannot be read is no."""
        try:
            return any(field == READY_FIELD and bool(value) for field, _, value in fields(body))
        except WireError:
            return False

    def build(self, row: Row) -> Request:
        """A request of this row. Raises ProtocolError, which names the input, where it does not fit."""
        body = write_request(self._model, row)
        asked = row.get("outputs")
        results = len(asked) if isinstance(asked, list) and asked else None
        return Request("POST", self._path, body, (), stream=False, results=results)

    def parse(self, status: int, headers: Headers, body: bytes) -> Answer:
        """Read an answer; `status` is the HTTP status of its gRPC code, or HTTP's own where it was no 200."""
        result: dict[str, object] = {"status": status}
        if status != 200:
            words = words_of(headers) or f"HTTP {status} {body[:1000].decode('utf-8', 'replace')}".rstrip()
            if self._keep_values:
                result["text"] = words
            return failed(f"http_{status}", words, result)
        try:
            answer = read_answer(body, values=self._keep_values)
        except (WireError, TensorError) as error:
            return failed("invalid", f"the answer is no ModelInferResponse: {error}", result)
        if not answer.outputs:
            return failed("invalid", "the answer has no outputs", result)
        if self._keep_values:
            result.update(_values(answer))
        return Answer(
            fields=result,
            output_tokens=None,
            input_tokens=None,
            ok=True,
            kind="ok",
            results=len(answer.outputs),
        )

    def parse_stream(self, status: int, headers: Headers, chunks: Pieces) -> tuple[Answer, Timing]:
        """Read the pieces as one message; there is no timing inside it."""
        return self.parse(status, headers, b"".join([piece for _, piece in chunks])), NO_TIMING


def _values(answer: InferAnswer) -> dict[str, object]:
    """What a golden set may expect of an answer besides its status."""
    written = msgspec.json.encode(answer)
    named: dict[str, object] = {tensor.name: tensor.data for tensor in answer.outputs}
    named.pop("status", None)
    return {"json": msgspec.json.decode(written), "text": written.decode(), **named}
