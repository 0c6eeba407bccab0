"""Ask a target over gRPC whether it is ready: by calls that its protocol names, none of which infers."""

from typing import Final, Protocol

from workers.engine.endpoint import Endpoint
from workers.engine.exchange import Exchange
from workers.engine.grpc_client import GrpcClient
from workers.engine.ready import LIMIT_S
from workers.protocols.contract import Request
from workers.protocols.grpc_status import words_of

_UNKNOWN_CALL: Final = 501
_WANTS_CREDENTIALS: Final = frozenset({401, 403})


class ReadyCalls(Protocol):
    """What a protocol over gRPC says of readiness."""

    def ready_calls(self) -> tuple[Request, ...]:
        """Calls to make, in order, until one is known to the target."""

    def says_ready(self, body: bytes) -> bool:
        """Whether the answer to such a call says yes."""


def ask(
    endpoint: Endpoint, *, headers_block: bytes, protocol: ReadyCalls, limit_s: float = LIMIT_S
) -> str | None:
    """None where the target is ready, else the reason in plain words; takes at most `limit_s` a call.

    The first call that the target knows decides. One that knows none of them is ready because it answers; one
    that wants credentials has no more to say, and is ready too. Raises TargetRefusedError as `Client.send`.
    """
    client = GrpcClient(endpoint, limit_s)
    try:
        for request in protocol.ready_calls():
            exchange = client.send(request, headers_block, authorised=_always)
            if exchange.status != _UNKNOWN_CALL or exchange.error:
                return _reason(exchange, request, protocol)
    finally:
        client.close()
    return None


def _always() -> bool:
    return True


def _reason(exchange: Exchange, request: Request, protocol: ReadyCalls) -> str | None:
    call = request.path.rpartition("/")[2]
    if exchange.error in {"connect", "exhausted"}:
        return exchange.text
    if exchange.error:
        return f"connected, but {exchange.text} to {call}"
    if exchange.status in _WANTS_CREDENTIALS:
        return None
    if exchange.status != 200:
        return f"not ready: {words_of(exchange.headers) or f'HTTP {exchange.status}'} to {call}"
    return None if protocol.says_ready(exchange.body) else f"not ready, says {call}"
