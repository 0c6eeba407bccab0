"""throttle-process: a process gets little of the cores, or little more memory, by a group of its own."""

from typing import Annotated

import msgspec

from workers.chaos.contract import Kind, Scene
from workers.chaos.host import groups
from workers.chaos.host.groups import Group
from workers.chaos.host.memo import keep, recall
from workers.chaos.own import Own
from workers.chaos.processes import alive, words
from workers.chaos.units import size_bytes
from workers.contract.errors import FaultError

_LEAST_MEMORY_BYTES = 1024**2


class Memo(msgspec.Struct, frozen=True):
    """The groups that the fault makes, and where their processes come from."""

    groups: tuple[Group, ...]


class ThrottleProcess:
    """The matched processes and their children are moved to a group with limits, and back.

    What they hold already is not counted there: `memory` bounds what they take from then on, and the kernel
    ends one that wants more, for good. Those that share a group share what it allows. So far its limits
    were tried with version 1 of control groups alone; with version 2 the moves were.
    """

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """One or both. cores: how many they may use, e.g. 0.5. memory: a size that they may take besides."""

        cores: Annotated[float, msgspec.Meta(ge=0.01)] | None = None
        memory: str | None = None

        def __post_init__(self) -> None:
            """Refuse none."""
            if self.cores is None and self.memory is None:
                raise ValueError("say cores, memory or both")

    def __init__(self, options: Options) -> None:
        """Read the size; raise FaultError where it is none, or too small for any process."""
        self._options = options
        self._memory = size_bytes(options.memory, option="memory") if options.memory is not None else None
        if self._memory is not None and self._memory < _LEAST_MEMORY_BYTES:
            raise FaultError(f"memory {options.memory}: must be at least 1MiB")
        self._made: tuple[Group, ...] = ()

    def plan(self, scene: Scene) -> tuple[str, ...]:
        """Name the groups and what they allow."""
        return tuple(
            f"cgroup {group.folder}: {', '.join(f'{name} {value}' for name, value in group.settings.items())}"
            for group in self._groups(scene)
        )

    def check(self, scene: Scene) -> None:
        """Refuse a host without such groups, or where they may not be made."""
        for group in self._groups(scene):
            groups.probe(group)

    def prepare(self, scene: Scene) -> tuple[Own, ...]:
        """Write down who comes from where."""
        self._made = self._groups(scene)
        keep(scene, Memo(self._made))
        return ()

    def inject(self, scene: Scene) -> None:
        """Make the groups and move the processes there; children born since are there already, or follow."""
        if recall(scene, Memo) is None:
            raise FaultError("throttle-process: its guardian has undone it already, as its time was over")
        for group in self._made:
            groups.make(group)
        for group in self._made:
            for who in alive(scene.processes):
                if who.pid in groups.pids_in(group.origin):
                    groups.move(who, group.folder)

    def verify(self, scene: Scene) -> str:
        """Each process must be in its groups, and the kernel must say that these have their limits."""
        here = alive(scene.processes)
        wrong = [line for group in self._made for line in _differs(group)]
        inside: dict[tuple[str, ...], set[int]] = {}
        for group in self._made:
            inside.setdefault(tuple(group.settings), set()).update(groups.members(group))
        wrong += [
            f"{words(who)} is in no group with its own {setting}"
            for (setting, *_), pids in inside.items()
            for who in here
            if who.pid not in pids
        ]
        return "; ".join(wrong) or ("" if here else "every process exited by itself")

    def revert(self, scene: Scene) -> None:
        """Send all that is in the groups back, and remove them."""
        memo = recall(scene, Memo)
        refused = []
        for group in memo.groups if memo else ():
            try:
                groups.undo(group)
            except FaultError as error:
                refused.append(str(error))
        if refused:
            raise FaultError("; ".join(refused))

    def residue(self, scene: Scene) -> str:
        """No group of the fault may be there, and nothing may be handed down for one."""
        memo = recall(scene, Memo)
        return "; ".join(filter(None, (groups.left(group) for group in memo.groups))) if memo else ""

    def _groups(self, scene: Scene) -> tuple[Group, ...]:
        return groups.groups_for(
            scene.processes, key=scene.key, cores=self._options.cores, memory_bytes=self._memory
        )


def _differs(group: Group) -> list[str]:
    """What the kernel says of a group's limits that is not as they were set."""
    now = groups.settings_now(group)
    return [
        f"cgroup {group.folder} has {name} {now[name] or 'no more'}"
        for name, value in group.settings.items()
        if not _as_set(now[name], value)
    ]


def _as_set(now: str, value: str) -> bool:
    """Whether the kernel has it so; it rounds memory down to pages."""
    if now == value:
        return True
    return now.isdigit() and value.isdigit() and 0 <= int(value) - int(now) < 1024**2


KIND = Kind(ThrottleProcess, ThrottleProcess.Options, needs_match=True)
