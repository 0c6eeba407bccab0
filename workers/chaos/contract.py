"""What a fault is: the order for it, the events it reports, and the five things that a kind can do.

The guardian loads this module in its first milliseconds, so it imports msgspec and nothing heavier.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol, cast

import msgspec

from workers.contract.errors import FaultError
from workers.contract.kinds import resolve

LONGEST_S = 3600.0
"""No fault may be held, or left to its guardian, for longer than an hour."""


class ProcessId(msgspec.Struct, frozen=True):
    """One life of one process: two of these are the same process only if pid and create_time agree.

    `create_time` is in seconds since the host booted (field 22 of /proc/PID/stat), so that a step of the wall
    clock cannot change who somebody is. `name` and `cmdline` are for people.
    """

    pid: int
    create_time: float
    name: str = ""
    cmdline: str = ""


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which processes a fault is for: exactly one of `name`, `cmdline`, `port`, `pidfile`.

    name: the process's own name, or the last part of its program's path. cmdline: a regular expression,
    searched for in the arguments joined by blanks. port: who listens there. pidfile: whose pid that file has.
    `processes`: how many there must be once children are folded into their parents; "all": any number.
    """

    name: str | None = None
    cmdline: str | None = None
    port: int | None = None
    pidfile: str | None = None
    processes: int | Literal["all"] = 1

    def __post_init__(self) -> None:
        """Refuse none or two ways to match; msgspec reports it with the place in the message."""
        given = [key for key in ("name", "cmdline", "port", "pidfile") if getattr(self, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"say exactly one of name, cmdline, port, pidfile (found {found})")
        if self.port is not None and not 1 <= self.port <= 65535:
            raise ValueError(f"port {self.port}: say 1 to 65535")
        if self.processes != "all" and self.processes < 1:
            raise ValueError(f"processes {self.processes}: say a number from 1, or all")


class FaultOrder(msgspec.Struct, frozen=True):
    """One fault on this host. `for_s`: 0 for a one-shot one. `limit_s`: when its guardian reverts anyway."""

    attempt: str
    name: str
    fault: str
    options: dict[str, Any]
    match: Match | None
    for_s: float
    limit_s: float


What = Literal["injected", "verified", "reverted", "residue", "failed"]


class FaultEvent(msgspec.Struct, frozen=True):
    """One step of a fault: injected, verified, then reverted (or residue); or failed.

    `at_s` is on the common clock, taken right after the kernel call that it speaks of; its uncertainty is the
    caller's to add. `took_effect` is None where the event says nothing of it; **the last one that is not None
    decides**: "verified" says that the effect was seen (or was not), "reverted" whether it stayed to the end.
    "residue" stands in place of "reverted" where something is left, which the guardian goes on to revert.
    "failed" comes last: nothing was injected, or what had been injected is reverted by then.
    """

    what: What
    at_s: float
    processes: tuple[ProcessId, ...] = ()
    took_effect: bool | None = None
    why: str = ""


class Fault(Protocol):
    """What a kind of fault must have. Words returned are for people; empty words mean that all is well.

    held: lasts for a time and is reverted, else one-shot. client: done by traffic of ours, not on the
    target's host. works: can be run in this version. needs_match: done to processes. Options: of `with:`.
    """

    held: ClassVar[bool]
    client: ClassVar[bool]
    works: ClassVar[bool]
    needs_match: ClassVar[bool]
    Options: ClassVar[type[msgspec.Struct]]

    def __init__(self, options: Any) -> None:
        """Take the options, units still as text; raise FaultError where one cannot be understood."""

    def check(self, processes: Sequence[ProcessId]) -> None:
        """Raise FaultError if the fault cannot be done here; change nothing."""

    def inject(self, processes: Sequence[ProcessId]) -> None:
        """Do it, and return at once. A process that is gone already is no error."""

    def verify(self, processes: Sequence[ProcessId]) -> str:
        """Look from outside whether the fault is in effect now; return what is not, in plain words."""

    def revert(self, processes: Sequence[ProcessId]) -> None:
        """Undo it. May be called twice, by two processes at once, and for a fault never injected."""

    def residue(self, processes: Sequence[ProcessId]) -> str:
        """Return what the fault has left behind on this host, in plain words."""


def kind_of(fault: str) -> type[Fault]:
    """Return the kind called `fault`; raise UnknownKindError (with the nearest name) where there is none."""
    from workers.chaos import TABLE  # noqa: PLC0415  # the table's package is what imports this module

    return cast("type[Fault]", resolve("workers.chaos", TABLE, fault))


def build(fault: str, options: dict[str, Any]) -> Fault:
    """Make the fault from its `with:` options; raise FaultError where they do not fit or it is reserved."""
    kind = kind_of(fault)
    if not kind.works:
        raise FaultError(f"fault {fault} is reserved and cannot be run in this version")
    try:
        return kind(msgspec.convert(options, kind.Options))
    except msgspec.ValidationError as error:
        raise FaultError(f"options of fault {fault}: {error}") from error
