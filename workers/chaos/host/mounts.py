"""What is mounted where, as /proc/self/mountinfo tells it (man 5 proc)."""

import os
from dataclasses import dataclass

_OCTAL = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount: `kind` of file system, its folder `root` seen at `point`, the file system's own options."""

    point: str
    root: str
    kind: str
    options: tuple[str, ...]


def mounts() -> list[Mount]:
    """Return all mounts that this process sees; a later one covers an earlier one at the same point."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        return [_read(line) for line in file]


def kind_at(path: str) -> str:
    """Return the kind of file system that a path lies on."""
    real = os.path.realpath(path)
    found = ""
    longest = -1
    for mount in mounts():
        point = mount.point.rstrip("/")
        if (real == point or real.startswith(point + "/")) and len(point) >= longest:
            found, longest = mount.kind, len(point)
    return found


def _read(line: str) -> Mount:
    before, _, after = line.rstrip("\n").partition(" - ")
    fields, (kind, _, options) = before.split(" "), after.split(" ", 2)
    return Mount(
        point=_plain(fields[4]), root=_plain(fields[3]), kind=kind, options=tuple(options.split(","))
    )


def _plain(text: str) -> str:
    for written, meant in _OCTAL:
        text = text.replace(written, meant)
    return text
