"""`python -m workers.demo_target`: the demo target as its own process."""

import sys

from workers import parent


def main() -> int:
    """Run until SIGTERM or SIGINT and return the exit code: 0 stopped, 1 could not start, 2 wrong flags."""
    wanted, pid = parent.asked(sys.argv[1:])
    if wanted and not parent.bind(pid):
        sys.stderr.write("demo-target: the parent is gone already; not started\n")
        return 1
    # Imported only now: the parent-death signal comes before the 0.1 s that these imports take.
    from workers.demo_target import server, settings  # noqa: PLC0415

    return server.serve(settings.parse(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
