"""Processes of our own that hold files open.

`python -m workers.chaos.host.descriptor_hog UNTIL COUNT CREW`
"""

import os
import resource
import signal

from workers.chaos.host.crew import together
from workers.chaos.lifeline import stand_by

_OWN = 64  # descriptors that a hog needs for itself, its libraries and its log


def main() -> None:
    """Wait for the word, then open them, each of the crew its part."""
    total, crew = (int(word) for word in stand_by())
    together(crew, lambda number: hold(total * (number + 1) // crew - total * number // crew))


def most_of_one() -> int:
    """Return how many files one hog can hold, with its own limit raised as far as this user may."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with open("/proc/sys/fs/nr_open", encoding="ascii") as file:  # noqa: PTH123
        highest = int(file.read())
    return (highest if hard == resource.RLIM_INFINITY else min(hard, highest)) - _OWN


def hold(count: int) -> None:
    """Open this many files of no device, and hold them for ever."""
    most = count + _OWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    for _ in range(count):
        os.open(os.devnull, os.O_RDONLY)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
