"""Ask a target whether it is ready: by its health pages or by a connection, never by an inference request."""

from collections.abc import Sequence
from typing import Final

from workers.engine.client import Client
from workers.engine.endpoint import Endpoint
from workers.engine.exchange import Exchange
from workers.protocols.contract import Request

PATHS: Final = ("/v1/models", "/v2/health/ready", "/health")
LIMIT_S: Final = 2.0
"""Per question: a target that takes longer to say that it is ready is not."""

_UNKNOWN_PAGE = frozenset({404, 405, 501})
_V2_READY = "/v2/health/ready"
"""Says no with a 4xx, which elsewhere is ready; mlserver answers 400 while its models load.
Source: Open Inference Protocol V2, health."""


def ask(
    endpoint: Endpoint, *, headers_block: bytes, paths: Sequence[str] = (), limit_s: float = LIMIT_S
) -> str | None:
    """None where the target is ready, else the reason in plain words; takes at most `limit_s` a path.

    `paths`: whole paths to ask, in order; none: the usual ones, below the URL's own path.

    The first page that is there decides: an answer below 500 is ready, one above is not unless a later page
    says so. A target without any of these pages is ready because it answers; one that speaks no HTTP/1.1,
    because it accepts connections. One that accepts and stays silent is not. Raises TargetRefusedError as
    `Client.send` does.
    """
    client = Client(endpoint, limit_s)
    reason: str | None = None
    try:
        for path in paths or [endpoint.prefix + page for page in PATHS]:
            request = Request("GET", path, b"", (("accept", "*/*"),), stream=False)
            exchange = client.send(request, headers_block, authorised=_always)
            if exchange.error in {"connect", "exhausted"}:
                return exchange.text
            if _is_yes(exchange, path=request.path):
                return None
            reason = _reason(exchange, path=request.path) or reason
    finally:
        client.close()
    return reason


def _always() -> bool:
    return True


def _is_yes(exchange: Exchange, *, path: str) -> bool:
    """Whether the page is there and says ready; one that wants credentials (401, 403) has no more to say."""
    if exchange.error or exchange.status >= 500 or exchange.status in _UNKNOWN_PAGE:
        return False
    if _is_loading(exchange):
        return False
    return exchange.status != 400 or not path.partition("?")[0].endswith(_V2_READY)


def _is_loading(exchange: Exchange) -> bool:
    """Whether TensorFlow Serving lists versions of the model, and none of them can answer yet."""
    return b'"model_version_status"' in exchange.body and b'"AVAILABLE"' not in exchange.body


def _reason(exchange: Exchange, *, path: str) -> str | None:
    """Why this page speaks against the target; None where it says nothing."""
    if exchange.error == "timeout":
        return f"connected, but {exchange.text} to GET {path}"
    if exchange.error or exchange.status in _UNKNOWN_PAGE:
        return None
    if _is_loading(exchange):
        return f"not ready: no version is AVAILABLE at {path}"
    return f"not ready: {exchange.status} at {path}"
