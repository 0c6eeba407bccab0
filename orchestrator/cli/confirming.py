"""Orders that others must obey: waiting until they have, and the exit code where they have not in time."""

import time
from collections.abc import Callable
from typing import Final

CONFIRMED_WITHIN_S: Final = 10.0
"""The leader looks ten times a second, a worker twice; a busy one may take a second."""
POLL_S: Final = 0.1
EXIT_UNCONFIRMED: Final = 1
"""The order stands in Redis, but not everybody has obeyed in time."""


def wait(until: Callable[[], bool]) -> None:
    """Until the condition holds, or the time to confirm is over."""
    over = time.monotonic() + CONFIRMED_WITHIN_S
    while not until() and time.monotonic() < over:
        time.sleep(POLL_S)
