"""Which of the slowest requests are told of: the same rule in an engine, a leader and a report. Pure."""

from collections.abc import Iterable
from typing import Final

from workers.contract.snapshot import SlowRequest

MOST: Final = 20
MOST_FAILED: Final = 10
"""Of them: a target that times out often must not hide which of its answers were slow."""
OK: Final = "ok"


def slowest_of(requests: Iterable[SlowRequest]) -> list[SlowRequest]:
    """The slowest, by latency: at most MOST, of these at most MOST_FAILED that failed; each request once."""
    each = {request.request_id: request for request in requests}
    found: list[SlowRequest] = []
    failed = 0
    for request in sorted(each.values(), key=lambda one: (-one.latency_s, one.request_id)):
        if len(found) == MOST:
            break
        if request.outcome != OK:
            failed += 1
            if failed > MOST_FAILED:
                continue
        found.append(request)
    return found
