"""Waking a greenlet at a moment to within some 50 µs; gevent's own timers round up to a millisecond.

A kernel timer (timerfd, CLOCK_MONOTONIC, absolute) watched by the event loop.
"""

import ctypes
import os
import struct
import time

from gevent import get_hub, getcurrent

_LIBC = ctypes.CDLL(None, use_errno=True)
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1
_READ = 1
_SPEC = struct.Struct("qqqq")
_NS = 1_000_000_000


class Alarm:
    """One greenlet's alarm clock; call `close` when done."""

    __slots__ = ("_fd", "_hub", "_sleeper", "_spec", "_watcher")

    def __init__(self) -> None:
        self._fd = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = ctypes.create_string_buffer(_SPEC.size)
        self._sleeper: object = None
        self._hub = get_hub()
        self._watcher = self._hub.loop.io(self._fd, _READ)
        self._watcher.start(self._ring)

    def sleep_until(self, at_ns: int) -> None:
        """Let others run until CLOCK_MONOTONIC shows `at_ns`; returns at once where that is past."""
        if at_ns <= time.monotonic_ns():
            return
        _SPEC.pack_into(self._spec, 0, 0, 0, at_ns // _NS, at_ns % _NS)
        _LIBC.timerfd_settime(self._fd, _ABSOLUTE, self._spec, None)
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
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        if self._sleeper is not None:
            self._sleeper.switch()  # type: ignore[attr-defined]
