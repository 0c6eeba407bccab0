"""`python -m workers.engine --parent PID`: the engine child; orders on stdin, words on stdout."""

import os
import signal
import sys
import types

from workers import parent

PARENT = "--parent"


def _die_with_parent(argv: list[str]) -> None:
    """Be killed when the thread that started this process ends; leave if that has happened already."""
    if not parent.bind(int(argv[argv.index(PARENT) + 1]) if PARENT in argv else None):
        os._exit(0)


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
    orders_fd, words_fd = _take_pipes()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a terminal's Ctrl-C is for the worker, which halts its engines
    import_locust()
    from workers.engine.child import serve  # noqa: PLC0415  # imports locust

    serve(orders_fd=orders_fd, words_fd=words_fd, pid=os.getpid())
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    _die_with_parent(sys.argv)
    main()
