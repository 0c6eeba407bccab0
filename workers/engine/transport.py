"""How a protocol's requests travel: HTTP/1.1 unless it says gRPC; each with its own client and readiness."""

from collections.abc import Callable
from typing import Protocol, cast

from workers.contract.errors import EngineError
from workers.engine import ready
from workers.engine.client import Client
from workers.engine.endpoint import Endpoint
from workers.engine.exchange import Exchange
from workers.engine.lines import MAX_CONNECTIONS
from workers.protocols.contract import Request, TargetProtocol

GRPC = "grpc"


class Transport(Protocol):
    """A client of one endpoint, as `Client` is."""

    def send(
        self,
        request: Request,
        headers_block: bytes,
        *,
        authorised: Callable[[], bool],
        on_sent: Callable[[int], None] | None = None,
        own_lines: bytes = b"",
    ) -> Exchange:
        """Send a request once and wait for its answer, or for how it failed."""

    def close(self) -> None:
        """Close what is idle; nothing can be sent afterwards."""


def open_transport(
    protocol: TargetProtocol, endpoint: Endpoint, *, timeout_s: float, max_connections: int = MAX_CONNECTIONS
) -> Transport:
    """The client that this protocol's requests need. Raises EngineError where a package for it is missing."""
    if not is_grpc(protocol):
        return Client(endpoint, timeout_s, max_connections=max_connections)
    try:
        from workers.engine.grpc_client import GrpcClient  # noqa: PLC0415  # HTTP/1 needs no hpack
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise EngineError(
            f"a gRPC target needs the Python package {package} on this worker, and it is not there: "
            "pip install 'shakeout[grpc]', then start the worker again"
        ) from None
    return GrpcClient(endpoint, timeout_s, max_connections=max_connections)


def ask_ready(
    protocol: TargetProtocol, endpoint: Endpoint, *, headers_block: bytes, paths: tuple[str, ...]
) -> str | None:
    """None where the target is ready, else the reason in plain words; never an inference request.

    Raises TargetRefusedError as `Client.send` does.
    """
    if not is_grpc(protocol):
        return ready.ask(endpoint, headers_block=headers_block, paths=paths)
    from workers.engine import grpc_ready  # noqa: PLC0415  # HTTP/1 needs no hpack

    calls = cast("grpc_ready.ReadyCalls", protocol)
    return grpc_ready.ask(endpoint, headers_block=headers_block, protocol=calls)


def is_grpc(protocol: TargetProtocol) -> bool:
    """Whether its requests are gRPC calls: a protocol that says nothing travels by HTTP/1.1."""
    return getattr(protocol, "transport", "") == GRPC
