"""Processes of our own that keep cores busy: `python -m workers.chaos.host.cpu_hog UNTIL CORES SHARE`."""

import time

from workers.chaos.host.crew import together
from workers.chaos.lifeline import stand_by

PERIOD_S = 0.05
"""A share below 1 is kept in each of these: short enough that no request sees a quiet core for long."""

_SPINS = 2000  # about 0.1 ms between two looks at the clock


def main() -> None:
    """Wait for the word, then burn."""
    cores, share = stand_by()
    together(int(cores), lambda _: burn(float(share)))


def burn(share: float) -> None:
    """Use this share of a core for ever: in each period until the share is had, or the period is over."""
    ends_s = time.monotonic()
    while True:
        ends_s = max(ends_s, time.monotonic() - PERIOD_S) + PERIOD_S
        had_s = time.process_time() + share * PERIOD_S
        while time.process_time() < had_s and time.monotonic() < ends_s:
            _spin()
        time.sleep(max(0.0, ends_s - time.monotonic()) if share < 1 else 0)


def _spin() -> None:
    value = 1
    for _ in range(_SPINS):
        value = value * 48271 % 2147483647


if __name__ == "__main__":
    main()
