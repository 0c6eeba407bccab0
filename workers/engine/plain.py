"""A target for locustfiles under plain `locust`: the engine's client and protocols, Locust's statistics."""

from collections.abc import Callable, Mapping

from workers.engine.allow import parse_allow_list
from workers.engine.arrival import NS
from workers.engine.endpoint import endpoint_of, header_block
from workers.engine.sender import no_answer
from workers.engine.transport import open_transport
from workers.protocols.contract import Answer, TargetProtocol, settled

EVERYWHERE = ("0.0.0.0/0", "::/0")
"""Whoever types `locust --host URL` has chosen the target; a worker's allow-list is not asked."""


class PlainTarget:
    """One user's connection to a target. Raises EngineError where the URL cannot be read."""

    __slots__ = ("_block", "_client", "_protocol")

    def __init__(self, url: str, *, protocol: TargetProtocol, timeout_s: float) -> None:
        endpoint = endpoint_of(url, allow=parse_allow_list(EVERYWHERE))
        self._protocol = protocol
        self._block = header_block(endpoint, {})
        self._client = open_transport(protocol, endpoint, timeout_s=timeout_s, max_connections=1)

    def send(self, row: Mapping[str, object], *, name: str, fire: Callable[..., object]) -> Answer:
        """Send a row's request, read the answer, and tell Locust's `events.request`."""
        request = self._protocol.build(row)
        exchange = self._client.send(request, self._block, authorised=lambda: True)
        if exchange.error:
            answer = no_answer(exchange.error, exchange.text)
        elif request.stream:
            answer, _ = self._protocol.parse_stream(exchange.status, exchange.headers, exchange.pieces)
            answer = settled(answer, request, truncated=exchange.truncated)
        else:
            answer = self._protocol.parse(exchange.status, exchange.headers, exchange.body)
            answer = settled(answer, request, truncated=False)
        size_bytes = len(exchange.body) or sum(len(piece) for _, piece in exchange.pieces)
        fire(
            request_type=request.method,
            name=name,
            response_time=(exchange.last_ns - exchange.sent_ns) / NS * 1e3 if exchange.sent_ns else 0.0,
            response_length=size_bytes,
            exception=None if answer.ok else RuntimeError(f"{answer.kind}: {answer.why}"),
            context={},
        )
        return answer
