"""Cycles do not pile up while the collector is off."""

import gc
import weakref

import gevent

from workers.engine.tidy import tidy

WITHIN_S = 5.0


class Knot:
    """Holds itself."""

    def __init__(self) -> None:
        self.self = self


def test_what_holds_itself_is_found_though_the_collector_is_off():
    gc.disable()
    at_work = gevent.spawn(tidy)
    try:
        gone = [weakref.ref(Knot()) for _ in range(100)]
        with gevent.Timeout(WITHIN_S):
            while any(one() is not None for one in gone):
                gevent.sleep(0.01)
    finally:
        at_work.kill()
        gc.enable()
