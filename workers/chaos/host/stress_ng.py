"""stress-ng as a process of our own: `python -m workers.chaos.host.stress_ng UNTIL ARGUMENTS`.

It is used where it is there and the campaign does not say `engine: own`. It ends with its leader.
"""

import os
from typing import Literal

from workers.chaos.host.crew import die_with, first_to_go
from workers.chaos.lifeline import stand_by
from workers.contract.errors import FaultError

Engine = Literal["auto", "own", "stress-ng"]

_PLACES = ("/usr/local/bin/stress-ng", "/usr/bin/stress-ng", "/bin/stress-ng")


def program() -> str:
    """Return where stress-ng is; empty where it is not."""
    return next((place for place in _PLACES if os.access(place, os.X_OK)), "")


def chosen(engine: Engine) -> bool:
    """Whether stress-ng is to do it. Raises FaultError where it was asked for and is not there."""
    if engine == "stress-ng" and not program():
        raise FaultError(
            f"engine stress-ng: it is at none of {', '.join(_PLACES)} of this host: install it, or say "
            "engine: own"
        )
    return engine != "own" and bool(program())


def main() -> None:
    """Wait for the word, then run it until it ends or this process does."""
    arguments = stand_by()
    first_to_go()
    leader = os.getpid()
    child = os.fork()
    if child == 0:
        die_with(leader)
        os.execv(program(), ["stress-ng", "--quiet", "--timeout", "0", *arguments])  # noqa: S606
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
