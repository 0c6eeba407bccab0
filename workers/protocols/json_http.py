"""Any service that takes JSON over HTTP: the row is the body, or a template makes the body of the row.

Fields of an answer: status; for regression also json (the body) and text.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import msgspec

from workers.contract.errors import ProtocolError
from workers.contract.json_text import decode
from workers.protocols.bodies import http_failure, is_html
from workers.protocols.contract import NO_TIMING, Answer, Headers, Pieces, Request, Row, Timing, failed
from workers.protocols.urls import join_path, v2_paths

MAX_BODY_BYTES = 64 * 1024 * 1024
"""A template whose loop ran away is stopped here, before the engine's memory is gone."""

Render = Callable[[Row], bytes]


class JsonOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The target's keys; `body` is a Jinja2 template over the row, empty where the row is the body."""

    url: str = ""
    model: str = ""
    path: str = "/"
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    body: str = ""


class JsonHttp:
    """JSON over HTTP; answers are never streamed."""

    Options: ClassVar[type[JsonOptions]] = JsonOptions
    works: ClassVar[bool] = True
    needs_model: ClassVar[bool] = False
    streams: ClassVar[bool] = False

    def __init__(self, options: JsonOptions, *, seed: int, for_regression: bool) -> None:  # noqa: ARG002  # all kinds alike
        self._method: str = options.method
        self._path = join_path(options.url, options.path)
        self._render = _template(options) if options.body else _row_is_body
        self._keep_bodies = for_regression
        self._headers = (("content-type", "application/json"), ("accept", "application/json"))

    @staticmethod
    def readiness_paths(options: JsonOptions) -> tuple[str, ...]:
        """Where to ask whether the target is ready; the V2 page too where V2 is spoken by hand."""
        health = join_path(options.url, "/health")
        return (*v2_paths(options), health) if options.path.startswith("/v2/") else (health,)

    def build(self, row: Row) -> Request:
        """A request of this row; GET has no body. Raises ProtocolError where the template fails on it."""
        body = b"" if self._method == "GET" else self._render(row)
        headers = self._headers if body else self._headers[1:]
        return Request(self._method, self._path, body, headers, stream=False)

    def parse(self, status: int, headers: Headers, body: bytes) -> Answer:
        """Read an answer: a 2xx must hold JSON, or nothing at all."""
        if not 200 <= status < 300:
            return http_failure(status, body, keep=self._keep_bodies, headers=headers)
        fields: dict[str, object] = {"status": status}
        if self._keep_bodies:
            fields["text"] = body.decode("utf-8", "replace")
        if is_html(headers, body):
            return failed("invalid", "answered HTML, not JSON", fields)
        try:
            value = decode(body) if body.strip() else None
        except ValueError as error:
            return failed("invalid", f"the body is {error}", fields)
        if self._keep_bodies and body.strip():
            fields["json"] = value
        return Answer(fields=fields, output_tokens=None, input_tokens=None, ok=True, kind="ok")

    def parse_stream(self, status: int, headers: Headers, chunks: Pieces) -> tuple[Answer, Timing]:
        """Read the pieces as one body; there is no timing inside it."""
        return self.parse(status, headers, b"".join([piece for _, piece in chunks])), NO_TIMING


def _row_is_body(row: Row) -> bytes:
    return msgspec.json.encode(row)


def _template(options: JsonOptions) -> Render:
    """Compile the body's template: the row's keys are its variables, and `row` (all of it) and `model`."""
    import jinja2  # noqa: PLC0415  # loaded only where a template is used
    import jinja2.sandbox  # noqa: PLC0415

    environment = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    try:
        template = environment.from_string(options.body)
    except jinja2.TemplateSyntaxError as error:
        raise ProtocolError(f"body template, line {error.lineno}: {error.message}") from error

    def render(row: Row) -> bytes:
        pieces: list[bytes] = []
        size_bytes = 0
        try:
            for piece in template.generate({"model": options.model, **row, "row": row}):
                pieces.append(piece.encode())
                size_bytes += len(pieces[-1])
                if size_bytes > MAX_BODY_BYTES:
                    raise ProtocolError(
                        f"the body template makes more than {MAX_BODY_BYTES:,} bytes of this row"
                    )
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise ProtocolError(f"the body template fails on this row: {error}") from error
        return b"".join(pieces)

    return render
