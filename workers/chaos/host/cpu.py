"""cpu: cores of the host are kept busy by processes of our own."""

from collections import deque
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from workers.chaos import own
from workers.chaos.contract import Kind, Scene
from workers.chaos.host import cgroups, readings, stress_ng
from workers.chaos.host.readings import Seldom, Session
from workers.chaos.own import Own
from workers.chaos.processes import boot_s
from workers.chaos.units import share
from workers.contract.errors import FaultError

ENOUGH = 0.7
"""Of the time asked for, seen in the last second: a period may be cut by the look, a sleep be too long."""

AT_LEAST = 0.1
"""Of the time asked for, where cores are as busy as wanted but others, or the machine below, have them."""

_WINDOW_S = 1.0
_FIRST_WINDOW_S = 0.05
_SETTLED_S = 0.5  # a shorter span may begin with the work of a period and end with its rest
_LOOKS_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class _Look:
    """At one moment: the time that all cores were busy so far, and what each hog asked for so far."""

    at_s: float
    busy_s: float
    asked_s: dict[int, float]


class Cpu:
    """Hogs want a share of each of some cores, or of all. They have the priority of any other process."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """load: share of each core, a percentage. cores: how many.

        engine: who does it; auto: stress-ng where it is installed.
        """

        load: str = "100%"
        cores: Annotated[int, msgspec.Meta(ge=1)] | Literal["all"] = "all"
        engine: stress_ng.Engine = "auto"

    def __init__(self, options: Options) -> None:
        """Read the load; raise FaultError where it is no percentage above 0%."""
        self._options = options
        self._load = share(options.load, option="load")
        if self._load <= 0:
            raise FaultError(f"load {options.load}: must be above 0%")
        self._looks: deque[_Look] = deque()
        self._seen = False
        self._session: Session | None = None
        self._seldom = Seldom(self._measure, every_s=_LOOKS_EVERY_S)

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """Say how many cores, and how busy."""
        return (f"cpu: {self._cores()} of {readings.cores()} cores, {self._options.load} of each",)

    def check(self, scene: Scene) -> None:  # noqa: ARG002  # the shape of every fault
        """Refuse more cores than there are, or than this worker's group may use."""
        stress_ng.chosen(self._options.engine)
        cores = self._cores()
        if cores > readings.cores():
            raise FaultError(
                f"cores {cores}: this worker may use {readings.cores()}; say at most that, or all"
            )
        quota = cgroups.cpu_quota_cores()
        if quota is not None and quota < cores * self._load * ENOUGH:
            raise FaultError(
                f"{cores} cores at {self._options.load}: the cgroup of this worker may use {quota:g} cores "
                "at most: run the worker outside of it, or say fewer cores"
            )

    def prepare(self, scene: Scene) -> tuple[Own, ...]:
        """Start the hogs."""
        if stress_ng.chosen(self._options.engine):
            load = str(max(1, round(self._load * 100)))
            arguments = ["--cpu", str(self._cores()), "--cpu-load", load, "--cpu-method", "int64"]
            return (own.start("workers.chaos.host.stress_ng", arguments, scene=scene),)
        arguments = [str(self._cores()), repr(self._load)]
        return (own.start("workers.chaos.host.cpu_hog", arguments, scene=scene),)

    def inject(self, scene: Scene) -> None:
        """Nothing: the hogs are told to go."""

    def verify(self, scene: Scene) -> str:
        """The hogs must have been on a core, or waiting for one, for most of the time asked for."""
        return self._seldom.look(scene)

    def revert(self, scene: Scene) -> None:
        """Nothing: the hogs are ended."""

    def residue(self, scene: Scene) -> str:  # noqa: ARG002  # the shape of every fault
        """Nothing but the hogs, which the caller looks for."""
        return ""

    def _cores(self) -> int:
        return readings.cores() if self._options.cores == "all" else self._options.cores

    def _measure(self, scene: Scene) -> str:
        """What the hogs asked for, and what was busy, since the oldest look of the last second."""
        self._session = self._session or Session(scene.own)
        slow = stress_ng.chosen(self._options.engine)  # it takes a while to begin, and is a process more
        pids = self._session.pids(least=self._cores() + (2 if slow else 1))
        now = _Look(boot_s(), readings.busy_s(), {pid: readings.asked_cpu_s(pid) for pid in pids})
        self._looks.append(now)
        while len(self._looks) > 2 and now.at_s - self._looks[1].at_s >= _WINDOW_S:  # a span has two ends
            self._looks.popleft()
        first = self._looks[0]
        span_s = now.at_s - first.at_s
        if span_s < (_SETTLED_S if slow else _FIRST_WINDOW_S):
            return "the hogs have only begun"
        asked = (
            sum(max(0.0, used_s - first.asked_s.get(pid, 0.0)) for pid, used_s in now.asked_s.items())
            / span_s
        )
        busy = (now.busy_s - first.busy_s) / span_s
        wanted = self._cores() * self._load
        settled = span_s >= _SETTLED_S
        if asked >= ENOUGH * wanted or (settled and busy >= ENOUGH * wanted and asked >= AT_LEAST * wanted):
            self._seen = True
            return ""
        if self._seen and not settled:
            return ""
        return (
            f"the hogs used or waited for {asked:.2f} cores of {wanted:.2f} in the last {span_s:.1f} s, and "
            f"{busy:.2f} were busy"
        )


KIND = Kind(Cpu, Cpu.Options, wide=True, scales=("load",))
