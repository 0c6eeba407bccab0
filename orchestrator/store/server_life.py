"""Since when a server has been running: what is older was said to a former life, which knew more, perhaps."""

import time
from typing import Any

MOST_WAIT_S = 1.0


def began_by_s(client: Any) -> float:
    """The end of the second in which the server began, on its own clock: a second too late at most.

    Raises redis errors.
    """
    info = client.info("server")
    # before Redis 7 a server does not say at which moment its uptime is so many whole seconds
    said_s = int(info.get("server_time_usec", 0)) // 1_000_000 or int(client.time()[0])
    return float(said_s - int(info["uptime_in_seconds"]) + 1)


def outlive_its_first_second(client: Any, *, now_s: float) -> None:
    """Wait until what is said to the server cannot be taken for something of before it began.

    `now_s`: its own time now. Raises redis errors.
    """
    rest_s = began_by_s(client) - now_s
    if rest_s > 0:
        time.sleep(min(rest_s, MOST_WAIT_S))
