"""This host's clock in a check-up: how far it is from Redis's, and how long it takes to ask."""

import time
from collections.abc import Iterator

from orchestrator.checkup.access import Visit, finding
from orchestrator.checkup.card import clock_off
from orchestrator.checkup.finding import Finding, Level

SLOW_TRIP_S = 0.005
"""A start order and its answer take a few of these; the fleet's own network is far below."""
SLOWEST_TRIP_S = 0.25
"""Calls give up after a second, and a claim takes several."""
_TRIPS = 9


def clock(visit: Visit) -> Iterator[Finding]:
    """How long a round trip takes, and how far this host's time of day is from the server's."""
    best_s, offset_s = float("inf"), 0.0
    for _ in range(_TRIPS):
        began_s, wall_s = time.monotonic(), time.time()
        seconds, micros = visit.client.time()
        trip_s = time.monotonic() - began_s
        if trip_s < best_s:
            best_s, offset_s = trip_s, seconds + micros / 1e6 - (wall_s + trip_s / 2)
    level: Level = "problem" if best_s > SLOWEST_TRIP_S else "warning" if best_s > SLOW_TRIP_S else "ok"
    yield finding(
        "round trip",
        level,
        f"{best_s * 1000:.2f} ms, so a clock here is known to ± {best_s * 500:.2f} ms",
        "" if level == "ok" else "put Redis into the network of coordinator and workers",
    )
    level, what, do = clock_off(offset_s, best_s / 2)
    yield Finding(area="host", check="clock", level=level, what=what, do=do)
