"""Waking at a moment to within some 50 µs; gevent's own timers round up to a millisecond.

A kernel timer (timerfd, CLOCK_MONOTONIC, absolute) watched by the event loop.
"""

import ctypes
import os
import struct
import time
from collections.abc import Callable

from gevent import get_hub, getcurrent

_LIBC = ctypes.CDLL(None, use_errno=True)
_SET_TIME = ctypes.CDLL(None).timerfd_settime  # without the errno that only making one needs
_SET_TIME.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1
_READ = 1
_SPEC = struct.Struct("qqqq")
_NS = 1_000_000_000


class Alarm:
    """An alarm clock; call `close` when done.

    `ring`: called in the event loop each time, where it may not block; it has to set the alarm again or
    silence it. Without one, `sleep_until` is for one greenlet.
    """

    __slots__ = ("_address", "_fd", "_hub", "_sleeper", "_spec", "_watcher")

    def __init__(self, ring: Callable[[], None] | None = None) -> None:
        self._fd = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = ctypes.create_string_buffer(_SPEC.size)
        self._address = ctypes.addressof(self._spec)
        self._sleeper: object = None
        self._hub = get_hub()
        self._watcher = self._hub.loop.io(self._fd, _READ)
        self._watcher.start(ring or self._ring)

    def set(self, at_ns: int) -> None:
        """Ring when CLOCK_MONOTONIC shows `at_ns`, at once where that is past; an earlier setting is void.

        The kernel forgets a ring that nobody has read when the timer is set again.
        """
        _SPEC.pack_into(self._spec, 0, 0, 0, at_ns // _NS, at_ns % _NS)
        _SET_TIME(self._fd, _ABSOLUTE, self._address, None)

    def silence(self) -> None:
        """Ring no more until it is set again."""
        _SPEC.pack_into(self._spec, 0, 0, 0, 0, 0)
        _SET_TIME(self._fd, _ABSOLUTE, self._address, None)

    def sleep_until(self, at_ns: int) -> None:
        """Let others run until CLOCK_MONOTONIC shows `at_ns`; returns at once where that is past."""
        if at_ns <= time.monotonic_ns():
            return
        self.set(at_ns)
        self._sleeper = getcurrent()
        try:
            self._hub.switch()
        finally:
            self._sleeper = None

    def close(self) -> None:
        """Give the kernel timer back."""
        self._watcher.stop()
        self._watcher.close()
        os.close(self._fd)

    def _ring(self) -> None:
        self.silence()
        if self._sleeper is not None:
            self._sleeper.switch()  # type: ignore[attr-defined]
