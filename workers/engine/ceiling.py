"""The operator's rate ceiling on a target, kept by the engine itself whatever the schedule says. Pure.

A leaky bucket (GCRA, ITU-T I.371): on average never above the ceiling, with room for random bunches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.contract.addresses import apart, limit_at
from workers.contract.errors import EngineError
from workers.contract.schedule import ClosedArrivals
from workers.contract.spec import LoadSpec, RegressionSpec, ShardTask

BURST_S = 10.0
"""Requests of this long at the ceiling may come at once: Poisson arrivals at just the ceiling pass."""
LOOP_BURST_S = 0.1
"""The same where answers alone pace the requests: users that wait lose no arrival, and look so often."""
TARGETS = "the target's rate_limit"
WORKERS = "this worker's --target-limit"


@dataclass(slots=True)
class Ceiling:
    """At most `per_s` requests a second; None is no ceiling. Times in ns of any steady clock.

    `burst_s`: of so long may come at once. `whose`: the ceiling in words.
    """

    per_s: float | None
    full_at_ns: int = 0
    burst_s: float = BURST_S
    whose: str = TARGETS

    def admits(self, now_ns: int) -> bool:
        """Take one request's room if there is any; False, taking nothing, where there is none."""
        if self.per_s is None:
            return True
        if self.wait_ns(now_ns):
            return False
        self.full_at_ns = max(self.full_at_ns, now_ns) + round(1e9 / self.per_s)
        return True

    def wait_ns(self, now_ns: int) -> int:
        """How long until there is room for one more; 0 if there is."""
        if self.per_s is None:
            return 0
        burst_ns = max(self.burst_s, 1 / self.per_s) * 1e9
        return max(round(self.full_at_ns + 1e9 / self.per_s - now_ns - burst_ns), 0)


def lowest(part_per_s: float | None, limit_per_s: float | None, *, scheduled: bool) -> Ceiling:
    """The ceiling of an engine: its shard's part of the target's, or its slot's part of the worker's own.

    `scheduled`: arrivals come when they come; else those who send wait for their turn.
    """
    burst_s = BURST_S if scheduled else LOOP_BURST_S
    if limit_per_s is not None and (part_per_s is None or limit_per_s < part_per_s):
        return Ceiling(limit_per_s, burst_s=burst_s, whose=WORKERS)
    return Ceiling(part_per_s, burst_s=burst_s)


def ceiling_of(spec: LoadSpec | RegressionSpec, task: ShardTask, limit_per_s: float | None) -> Ceiling:
    """What this engine may send. Raises EngineError where the users' own code could not be held to it."""
    whole = spec.target.rate_limit_per_s
    if limit_per_s is not None and isinstance(spec, LoadSpec) and spec.locustfile is not None:
        raise EngineError(
            f"{WORKERS} holds for {spec.target.name}, and users of a locustfile cannot be held to it: "
            "nothing was sent; run it on a worker without that limit"
        )
    scheduled = isinstance(spec, LoadSpec) and not isinstance(spec.arrivals, ClosedArrivals)
    return lowest(whole / task.of if whole else None, limit_per_s, scheduled=scheduled)


def limit_of(place: str, addresses: Sequence[str], limits: Mapping[str, float]) -> float | None:
    """The worker's own limit for HOST:PORT, by its name or the addresses that it leads to.

    A name that leads nowhere yet may come to lead anywhere: it is held to the lowest limit on its port.
    """
    if addresses:
        return limit_at(place, limits, leads_to=addresses)
    port = apart(place)[1]
    return min((per_s for other, per_s in limits.items() if apart(other)[1] == port), default=None)
