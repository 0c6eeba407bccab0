"""`python -m workers.engine --parent PID`: the engine child; orders on stdin, words on stdout."""

import os
import signal
import sys
import types
from contextlib import suppress
from pathlib import Path

from workers import parent

PARENT = "--parent"
FIRST_TO_GO = 500
"""Of oom_score_adj, from -1000 to 1000: whose memory runs out loses an engine, which its worker replaces."""


def _die_with_parent(argv: list[str]) -> None:
    """Be killed when the thread that started this process ends; leave if that has happened already."""
    if not parent.bind(int(argv[argv.index(PARENT) + 1]) if PARENT in argv else None):
        os._exit(0)


def _go_first() -> None:
    """Have the kernel take engines before workers, coordinators, Redis or the target where memory runs out.

    Source: proc_pid_oom_score_adj(5); raising one's own needs no privilege.
    """
    place = Path("/proc/self/oom_score_adj")
    with suppress(OSError, ValueError):
        place.write_text(str(max(FIRST_TO_GO, int(place.read_text()))), encoding="ascii")


def _take_pipes() -> tuple[int, int]:
    """Keep stdin and stdout for orders and words; what the interpreter prints goes to stderr."""
    orders_fd, words_fd = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return orders_fd, words_fd


def import_locust() -> None:
    """Patch the standard library and import Locust without its web interface, which costs 80 ms."""
    from gevent import monkey  # noqa: PLC0415  # after the parent-death signal

    monkey.patch_all()
    web = types.ModuleType("locust.web")
    web.WebUI = object  # type: ignore[attr-defined]
    sys.modules["locust.web"] = web
    import locust  # noqa: F401, PLC0415  # patched first


def main() -> None:
    """Serve one attempt; never returns."""
    _go_first()
    orders_fd, words_fd = _take_pipes()
    # Ctrl-C, `timeout` and others signal a whole process group; it is for the worker, which hands over
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    import_locust()
    from workers.engine.child import serve  # noqa: PLC0415  # imports locust

    serve(orders_fd=orders_fd, words_fd=words_fd, pid=os.getpid())
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    _die_with_parent(sys.argv)
    main()
