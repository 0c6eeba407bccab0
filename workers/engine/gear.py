"""What an attempt needs before its start: target, protocol, client, mark file."""

from dataclasses import dataclass

import gevent
from gevent import socket

from workers.contract.addresses import joined
from workers.contract.bounds import Bound
from workers.contract.schedule import ClosedArrivals
from workers.contract.spec import LoadSpec, RegressionSpec, ShardTask, longest_s, share
from workers.engine import wire
from workers.engine.allow import parse_allow_list
from workers.engine.ceiling import Ceiling, ceiling_of, limit_of
from workers.engine.endpoint import Endpoint, endpoint_for, header_block
from workers.engine.markfile import MarkFile
from workers.engine.tape import Counter
from workers.engine.tokens import counting, tokens_of
from workers.engine.transport import Transport, open_transport
from workers.engine.users import Crowd
from workers.protocols.contract import TargetProtocol
from workers.protocols.select import make_protocol, ready_paths

RESOLVE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gear:
    """All that does not depend on the start; `cap`: this shard's part of the requests in flight, ≥ 1."""

    task: ShardTask
    timeout_s: float
    bounds: tuple[Bound, ...]
    id_header: bool
    cap: int
    endpoint: Endpoint
    ready_paths: tuple[str, ...]
    protocol: TargetProtocol
    client: Transport
    block: bytes
    marks: MarkFile
    crowd: Crowd
    ceiling: Ceiling
    seen: wire.Seen
    counter: Counter | None = None


def build(prepare: wire.Prepare, spec: LoadSpec | RegressionSpec) -> Gear:
    """Build it. Raises ShakeoutWorkerError where the spec cannot be run here."""
    task, target = prepare.task, spec.target
    total = spec.concurrency if isinstance(spec, RegressionSpec) else in_flight_of(spec)
    cap = max(share(total, task.shard, task.of), 1)
    endpoint = endpoint_for(target, allow=parse_allow_list(prepare.allow_targets), files=prepare.files)
    addresses = check_allowed(endpoint)
    place = joined(endpoint.host, endpoint.port)
    protocol = make_protocol(
        target.protocol, target.options, seed=spec.seed, for_regression=isinstance(spec, RegressionSpec)
    )
    counter = tokens_of(target, prepare.files)
    return Gear(
        task=task,
        timeout_s=target.timeout_s,
        bounds=spec.bounds,
        id_header=spec.id_header,
        cap=cap,
        endpoint=endpoint,
        ready_paths=ready_paths(target.protocol, target.options),
        protocol=protocol if counter is None else counting(protocol, counter),
        client=open_transport(protocol, endpoint, timeout_s=target.timeout_s, max_connections=cap),
        block=header_block(endpoint, prepare.headers),
        marks=MarkFile(prepare.watermark, bounds=spec.bounds, timeout_s=longest_s(spec)),
        crowd=Crowd(target.protocol, host=target.url),
        ceiling=ceiling_of(spec, task, limit_of(place, addresses, prepare.target_limits)),
        seen=prepare.seen,
        counter=counter,
    )


def in_flight_of(spec: LoadSpec) -> int:
    """Requests in flight over all shards: the activity's cap, or its users where they drive the load."""
    return spec.arrivals.users if isinstance(spec.arrivals, ClosedArrivals) else spec.max_in_flight


def check_allowed(endpoint: Endpoint) -> list[str]:
    """Refuse a target that is not on the allow-list; a name that does not resolve yet may come.

    Its addresses, none where it does not resolve. Raises TargetRefusedError.
    """
    try:
        with gevent.Timeout(RESOLVE_S, TimeoutError("no answer")):
            found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return endpoint.allow.permitted(endpoint.host, endpoint.port, addresses=addresses)
