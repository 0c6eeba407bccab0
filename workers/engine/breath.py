"""Letting others run in the middle of a long piece of work."""

from typing import Final

import gevent

SHORTEST_S: Final = 1e-6


def breathe() -> None:
    """Give way to every greenlet that is ready, sockets and timers included.

    `gevent.sleep(0)` only lets those run that wait for nothing: between 100 of them 2 ms apart a timer of
    0.5 ms came 3 times, with this 100 times.
    """
    gevent.sleep(SHORTEST_S)
