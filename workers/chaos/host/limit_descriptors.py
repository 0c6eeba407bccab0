"""limit-descriptors: a process may open hardly any more files or sockets (RLIMIT_NOFILE, man 2 prlimit)."""

import resource
from collections.abc import Sequence
from typing import Annotated

import msgspec

from workers.chaos.contract import Kind, ProcessId, Scene
from workers.chaos.host import readings
from workers.chaos.host.memo import keep, recall
from workers.chaos.own import Own
from workers.chaos.processes import (
    Process,
    boot_id,
    boot_s,
    is_alive,
    look,
    look_at_all,
    with_children,
    words,
)
from workers.contract.errors import FaultError

_GONE = "ZXx"
_TICK_S = 0.01  # the kernel keeps the time of a birth so sharply, rounded down


class Limited(msgspec.Struct, frozen=True):
    """One process's soft limit: as it was, and as the fault sets it; -1 is none. The hard one stays."""

    pid: int
    create_time: float
    was: int
    becomes: int
    session: int


class Memo(msgspec.Struct, frozen=True):
    """What the limits were at `at_s` since this `boot`, of each process that was matched."""

    limited: tuple[Limited, ...]
    at_s: float
    boot: str


class LimitDescriptors:
    """The soft limit of the matched processes and their children is lowered, then put back as it was.

    What is open stays open; the next one too many fails with EMFILE. A process that raises its own limit
    again undoes the fault, and is left alone.
    """

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """Exactly one of limit (the soft limit itself), leave (how many more each process can open)."""

        limit: Annotated[int, msgspec.Meta(ge=0)] | None = None
        leave: Annotated[int, msgspec.Meta(ge=0)] | None = None

        def __post_init__(self) -> None:
            """Refuse none or both."""
            if (self.limit is None) == (self.leave is None):
                raise ValueError("say exactly one of limit, leave")

    def __init__(self, options: Options) -> None:
        """Take the options."""
        self._options = options
        self._memo: Memo | None = None

    def plan(self, scene: Scene) -> tuple[str, ...]:
        """Say which limit becomes what."""
        return tuple(
            f"open files of process {one.pid}: at most {one.becomes}, now {one.was}"
            for one in self._limits(scene.processes)
        )

    def check(self, scene: Scene) -> None:
        """Refuse a limit that is none for a process, and one that may not be set."""
        for one in self._limits(scene.processes):
            if 0 <= one.was <= one.becomes:
                raise FaultError(
                    f"process {one.pid} may open {one.was} files already, no more than {one.becomes}: "
                    "say fewer"
                )

    def prepare(self, scene: Scene) -> tuple[Own, ...]:
        """Write down what the limits are."""
        self._memo = Memo(tuple(self._limits(scene.processes)), boot_s(), boot_id())
        keep(scene, self._memo)
        return ()

    def inject(self, scene: Scene) -> None:
        """Lower them; what was born meanwhile inherits its parent's, or is given that of the first."""
        memo = recall(scene, Memo)
        if memo is None:
            raise FaultError("limit-descriptors: its guardian has undone it already, as its time was over")
        known = {(one.pid, one.create_time): one for one in memo.limited}
        for who in scene.processes:
            one = known.get((who.pid, who.create_time)) or _parent_of(who, memo)
            if one is not None:
                _set(who, one.becomes, was=None)

    def verify(self, scene: Scene) -> str:
        """The kernel must show the lowered limit for every one that lives."""
        becomes = {one.becomes for one in self._memo.limited} if self._memo else set()
        return "; ".join(
            f"{words(who)} may open {now} files"
            for who in scene.processes
            if (now := _soft(who)) is not None and now not in becomes
        ) or ("" if any(map(is_alive, scene.processes)) else "every process exited by itself")

    def revert(self, scene: Scene) -> None:
        """Put back every limit that is still as the fault set it, of children born since too."""
        refused = []
        for who, one in _under(scene):
            try:
                _set(who, one.was, was=one.becomes)
            except FaultError as error:
                refused.append(str(error))
        if refused:
            raise FaultError("; ".join(refused))

    def residue(self, scene: Scene) -> str:
        """No process may still have the limit that the fault set."""
        return "; ".join(
            f"{words(who)} may still open no more than {one.becomes} files" for who, one in _under(scene)
        )

    def _limits(self, processes: Sequence[ProcessId]) -> list[Limited]:
        found = []
        for who in processes:
            soft, process = _soft(who), look(who.pid)
            if soft is None or process is None:
                continue
            limit = self._options.limit
            becomes = _lowest_free(who.pid, self._options.leave or 0) if limit is None else limit
            found.append(Limited(who.pid, who.create_time, soft, becomes, process.session))
        return found


def _lowest_free(pid: int, leave: int) -> int:
    """The limit under which `leave` numbers are free: a new descriptor gets the lowest free number."""
    taken = set(readings.open_descriptors(pid))
    number = free = 0
    while free < leave:
        free += number not in taken
        number += 1
    while number in taken:
        number += 1
    return number


def _soft(who: ProcessId) -> int | None:
    """A process's soft limit; None where it is gone. Raises FaultError where this user may not know."""
    return _prlimit(who, None)


def _set(who: ProcessId, soft: int, *, was: int | None) -> None:
    """Set the soft limit, where `was` is given only if it is that now. Raises FaultError: not permitted."""
    if was is None or _soft(who) == was:
        _prlimit(who, soft)


def _prlimit(who: ProcessId, soft: int | None) -> int | None:
    if not is_alive(who):
        return None
    try:
        now, hard = resource.prlimit(who.pid, resource.RLIMIT_NOFILE)
        if soft is not None:
            resource.prlimit(who.pid, resource.RLIMIT_NOFILE, (soft, hard))
    except ProcessLookupError:
        return None
    except (PermissionError, ValueError) as error:
        raise FaultError(
            f"not permitted to limit {words(who)}: run the worker as that user, or with CAP_SYS_RESOURCE "
            f"({error})"
        ) from error
    return now


def _parent_of(who: ProcessId, memo: Memo) -> Limited | None:
    """What is known of the process that this one was born of, else of the first that was matched."""
    process = look(who.pid)
    by_pid = {one.pid: one for one in memo.limited}
    parent = by_pid.get(process.parent) if process is not None else None
    return parent or next(iter(memo.limited), None)


def _under(scene: Scene) -> list[tuple[ProcessId, Limited]]:
    """Every living process that has the limit that the fault gave it, or that it was born with by it."""
    memo = recall(scene, Memo)
    if memo is None or memo.boot != boot_id():
        return []
    known = {(one.pid, one.create_time): one for one in memo.limited}
    roots = [ProcessId(one.pid, one.create_time) for one in memo.limited]
    heirs = [*with_children([*roots, *scene.processes]), *_strays(memo)]
    found: dict[int, tuple[ProcessId, Limited]] = {}
    for who in heirs:
        one = known.get((who.pid, who.create_time)) or _parent_of(who, memo)
        if one is not None and one.becomes != one.was and _soft(who) == one.becomes:
            found[who.pid] = (who, one)
    return list(found.values())


def _strays(memo: Memo) -> list[ProcessId]:
    """Children born since whose parent has ended: of the same session, and nobody's in it."""
    everyone = look_at_all()
    sessions = {one.session for one in memo.limited}
    return [
        process.identity()
        for process in everyone.values()
        if process.session in sessions
        and process.state not in _GONE
        and process.create_time > memo.at_s - _TICK_S
        and _lost_its_parent(process, everyone)
    ]


def _lost_its_parent(process: Process, everyone: dict[int, Process]) -> bool:
    parent = everyone.get(process.parent)
    return parent is None or parent.session != process.session


KIND = Kind(LimitDescriptors, LimitDescriptors.Options, needs_match=True)
