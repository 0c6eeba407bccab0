"""Which path is answered by what. Health, models and metrics are looks: not logged, never refused."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

import msgspec

from workers.demo_target import binary, embeddings, generate, infer, openai, predict
from workers.demo_target.answer import Reply, Stream, json_reply, refusal
from workers.demo_target.http1 import Request
from workers.demo_target.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request and what its answer may depend on besides."""

    request: Request
    settings: Settings
    number: int  # of the request, counted from 1
    created: int  # unix time, whole seconds
    metrics: Callable[[], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of request.

    `works` is whether it is an inference: logged, queued, and refused at the error rate.
    """

    name: str  # as /metrics labels it
    method: str
    works: bool
    answer: Callable[[Asked], Reply | Stream]


def find(path: str) -> Route | None:
    """The route of a path, None for an unknown one."""
    route = _FIXED.get(path)
    if route is None and path.startswith("/v2/models/"):
        return _find_model(path.split("/")[3:])
    if route is None and path.startswith("/v1/models/"):
        return PREDICT if path.endswith(":predict") else STATUS
    return route


def answer(route: Route | None, asked: Asked) -> Reply | Stream:
    """Answer a request; what is wrong with it becomes a reply of 400, 404 or 405."""
    request = asked.request
    if route is None:
        return refusal(request.path, status=404, message=f"no such path here: {request.path}")
    if request.method != route.method:
        return refusal(request.path, status=405, message=f"{request.path} takes {route.method} only")
    try:
        if binary.LENGTH_HEADER not in request.headers:
            request.body.decode()  # names and values that nobody reads would not be looked at otherwise
        return route.answer(asked)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return refusal(request.path, status=400, message=f"the body cannot be read: {error}")


def _find_model(parts: list[str]) -> Route | None:
    """Routes below /v2/models/: MODEL[/versions/V][/ready|/infer|/generate|/generate_stream]."""
    model, *rest = parts
    version = None
    if len(rest) >= 2 and rest[0] == "versions":
        version, rest = unquote(rest[1]), rest[2:]
    name = unquote(model)
    match rest:
        case ["infer"]:
            return Route("/v2/models/infer", "POST", True, lambda asked: _infer(asked, name, version))
        case ["generate"]:
            return Route("/v2/models/generate", "POST", True, lambda asked: _generated(asked, name, version))
        case ["generate_stream"]:
            return Route(
                "/v2/models/generate_stream", "POST", True, lambda asked: _stream(asked, name, version)
            )
        case ["ready"]:
            return Route(
                "/v2/models/ready", "GET", False, lambda _: json_reply({"name": name, "ready": True})
            )
        case []:
            return Route("/v2/models", "GET", False, lambda _: infer.metadata(name))
    return None


def _infer(asked: Asked, model: str, version: str | None) -> Reply:
    return infer.infer(
        asked.request.body,
        model=model,
        version=version,
        settings=asked.settings,
        json_length=asked.request.headers.get(binary.LENGTH_HEADER),
    )


def _generated(asked: Asked, model: str, version: str | None) -> Reply:
    return generate.generated(
        asked.request.body, model=model, version=version or infer.VERSION, settings=asked.settings
    )


def _stream(asked: Asked, model: str, version: str | None) -> Stream:
    return generate.generate_stream(
        asked.request.body, model=model, version=version or infer.VERSION, settings=asked.settings
    )


def _embed(asked: Asked) -> Reply:
    return embeddings.embed(asked.request.body, settings=asked.settings)


def _predict(asked: Asked) -> Reply:
    return predict.predict(asked.request.body, settings=asked.settings)


def _chat(asked: Asked) -> Reply | Stream:
    return openai.chat(
        asked.request.body, settings=asked.settings, number=asked.number, created=asked.created
    )


def _complete(asked: Asked) -> Reply | Stream:
    return openai.complete(
        asked.request.body, settings=asked.settings, number=asked.number, created=asked.created
    )


def _models(asked: Asked) -> Reply:
    model = {"id": asked.settings.model, "object": "model", "created": 0, "owned_by": "shakeout"}
    return json_reply({"object": "list", "data": [model]})


def _server(_: Asked) -> Reply:
    extensions = ["binary_tensor_data", "generate"]
    return json_reply({"name": "shakeout-demo-target", "version": infer.VERSION, "extensions": extensions})


PREDICT = Route("/v1/models:predict", "POST", True, _predict)
STATUS = Route("/v1/models/status", "GET", False, lambda _: predict.model_status())
_FIXED = {
    route.name: route
    for route in (
        Route("/v1/chat/completions", "POST", True, _chat),
        Route("/v1/completions", "POST", True, _complete),
        Route("/v1/embeddings", "POST", True, _embed),
        Route("/v1/models", "GET", False, _models),
        Route("/health", "GET", False, lambda _: json_reply({"status": "ok"})),
        Route("/v2", "GET", False, _server),
        Route("/v2/health/live", "GET", False, lambda _: json_reply({"live": True})),
        Route("/v2/health/ready", "GET", False, lambda _: json_reply({"ready": True})),
        Route("/metrics", "GET", False, lambda asked: asked.metrics()),
    )
}
