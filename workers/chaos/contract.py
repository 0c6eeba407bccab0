"""What a fault is: the order for it, the events it reports, and the things that a kind can do.

The guardian loads this module in its first milliseconds, so it imports msgspec and nothing heavier.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_type_hints, runtime_checkable

import msgspec

from workers.chaos.aim import Aim
from workers.contract.errors import FaultError
from workers.contract.kinds import resolve

if TYPE_CHECKING:
    from workers.chaos.own import Own
    from workers.contract.proxies import ProxyWant

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

    @property
    def life(self) -> tuple[int, float]:
        """What tells it from all others; its words may change."""
        return self.pid, self.create_time


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


class HostRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """What this worker's operator lets faults do here: its own settings, never a campaign's or Redis's.

    worker: its name. broker: HOST:PORT of every server of its Redis (Sentinels and those that they name too),
    which no fault may cut off. allow_targets: entries beside loopback, as engines have them. user_code:
    folders whose commands may be run. secrets: folder of `${file:NAME}`. home: the worker's scratch folder.
    Holds no secret: it stands in the ledger.
    """

    worker: str = ""
    broker: tuple[str, ...] = ()
    allow_targets: tuple[str, ...] = ()
    user_code: tuple[str, ...] = ()
    secrets: str = ""
    home: str = ""


class FaultOrder(msgspec.Struct, frozen=True):
    """One fault on this host. `for_s`: 0 for a one-shot one. `limit_s`: when its guardian reverts anyway.

    `seed`: of every random choice that the fault makes. `rules`: of the host that it is done on. `aim`: what
    its clients are aimed at; it may hold secrets, and goes into no ledger.
    """

    attempt: str
    name: str
    fault: str
    options: dict[str, Any]
    match: Match | None
    for_s: float
    limit_s: float
    seed: int = 0
    rules: HostRules = HostRules()
    aim: Aim | None = None


class Scene(msgspec.Struct, frozen=True):
    """What one fault works on, whole in the ledger: whoever reverts it knows as much as who injected it.

    `key`: letters and digits, of this fault on this host alone: for names of files, tables, groups. `folder`:
    the fault's own, there from `prepare` on and removed after the revert. `until_s` (CLOCK_BOOTTIME): when
    whatever can let go by itself (kernel, own processes) has to. `processes`: those matched; `own`: those
    that `prepare` started; both as they live now. `rules`: what may be done on this host. `match`: how the
    processes were matched, so that one which takes their place is known.
    """

    key: str
    folder: str
    until_s: float
    seed: int = 0
    processes: tuple[ProcessId, ...] = ()
    own: tuple[ProcessId, ...] = ()
    rules: HostRules = HostRules()
    match: Match | None = None


What = Literal["injected", "verified", "reverted", "residue", "failed"]


class FaultEvent(msgspec.Struct, frozen=True):
    """One step of a fault: injected, verified, then reverted (or residue); or failed.

    `at_s` is on the common clock, taken right after the kernel call that it speaks of; its uncertainty is the
    caller's to add. `took_effect` is None where the event says nothing of it; **the last one that is not None
    decides**: "verified" says that the effect was seen (or was not), "reverted" whether it stayed to the end.
    "residue" stands in place of "reverted" where something is left, which the guardian goes on to revert.
    "failed" comes last: nothing was injected, or what had been injected is reverted by then. `touched`: what
    else than processes the fault is done to, in plain words. `did`: what it has done, counted.
    """

    what: What
    at_s: float
    processes: tuple[ProcessId, ...] = ()
    took_effect: bool | None = None
    why: str = ""
    touched: tuple[str, ...] = ()
    did: dict[str, int] = {}


class Fault(Protocol):
    """What a fault can do. Words returned are for people; empty words mean that all is well.

    One instance does `check`, `inject` and `verify` of a fault, in the agent. `revert` and `residue` may be
    called on another, in the guardian or the worker's next life: they know what the options and the scene
    say, and what the host shows.
    """

    def plan(self, scene: Scene) -> tuple[str, ...]:
        """Say what else than the matched processes would be touched, e.g. "port 9000", a line each."""

    def check(self, scene: Scene) -> None:
        """Raise FaultError if the fault cannot be done here; probe, never assume; leave nothing changed."""

    def inject(self, scene: Scene) -> None:
        """Do it, and return at once. A process that is gone already is no error."""

    def verify(self, scene: Scene) -> str:
        """Look from outside whether the fault is in effect now; return what is not, in plain words."""

    def revert(self, scene: Scene) -> None:
        """Undo it. May be called twice, by two processes at once, and for a fault never injected.

        Afterwards the caller ends `scene.own`, and removes `scene.folder` once `residue` finds nothing.
        """

    def residue(self, scene: Scene) -> str:
        """Return what the fault has left behind on this host, in plain words."""


class Kind(msgspec.Struct, frozen=True):
    """A kind of fault: what it is to a campaign, and how one is made.

    make: from options, units still as text; raises FaultError where one cannot be understood. Its docstring,
    and those of what it returns, are the kind's text in docs/faults.md. Options: of `with:`. held: lasts for
    a time and is reverted, else one-shot. client: done by traffic of ours, not on the target's host.
    needs_match: done to processes. wide: felt by the whole host, so refused where Redis, a coordinator or a
    generator lives. ends: the processes it is done to are gone while it is held, and that is no reason to
    stop. scales: options that `intensity` multiplies; none: it knows no degrees.
    """

    make: Callable[[Any], Fault]
    Options: type[msgspec.Struct]
    held: bool = True
    client: bool = False
    needs_match: bool = False
    wide: bool = False
    ends: bool = False
    scales: tuple[str, ...] = ()

    @property
    def made(self) -> type[Fault]:
        """The class of what `make` makes: itself, or what it says that it returns."""
        return self.make if isinstance(self.make, type) else get_type_hints(self.make)["return"]

    def of(self, options: Mapping[str, Any]) -> Fault:
        """One with these options. Raises msgspec.ValidationError, FaultError where they do not fit."""
        return self.make(msgspec.convert(dict(options), self.Options))


@runtime_checkable
class Preparing(Protocol):
    """A fault that is done by processes of our own."""

    def prepare(self, scene: Scene) -> tuple["Own", ...]:
        """Start those processes (`own.start`), waiting: nothing is felt until they are told to go.

        Some seconds before the fault's moment, if it can be; they are told right after `inject`.
        """


@runtime_checkable
class Aimed(Protocol):
    """A fault that clients of ours do."""

    def aim(self, aim: Aim) -> None:
        """Take the target, before anything else is asked of it."""


@runtime_checkable
class Counting(Protocol):
    """A fault that counts what it does."""

    def did(self, scene: Scene) -> dict[str, int]:
        """Read how often it has done what so far, by name; asked once more when its processes have ended."""


@runtime_checkable
class Gradual(Protocol):
    """A held fault that may be in effect but after a while, as one that takes many GiB: how long at most.

    Known once `check` has looked at the host.
    """

    takes_effect_within_s: float


@runtime_checkable
class OnTheWay(Protocol):
    """A fault on the way to a dependency, which a proxy of ours does."""

    def proxy(self) -> "ProxyWant":
        """Name the proxy that has to stand for it, from the campaign's first phase on."""


@runtime_checkable
class Foreseeing(Protocol):
    """A fault of which a part is there only once its campaign has begun."""

    def foresee(self, scene: Scene) -> None:
        """As `check`, before that part is there: whether it could be."""


def did_by(fault: Fault, scene: Scene) -> dict[str, int]:
    """What the fault has done so far; nothing where it does not count."""
    return fault.did(scene) if isinstance(fault, Counting) else {}


def kind_of(fault: str) -> Kind:
    """Return the kind called `fault`; raise UnknownKindError (with the nearest name) where there is none."""
    from workers.chaos import TABLE  # noqa: PLC0415  # the table's package is what imports this module

    kind: Kind = resolve("workers.chaos", TABLE, fault)
    return kind


def build(fault: str, options: dict[str, Any]) -> Fault:
    """Make the fault from its `with:` options; raise FaultError where they do not fit."""
    kind = kind_of(fault)
    try:
        return kind.of(options)
    except msgspec.ValidationError as error:
        raise FaultError(f"options of fault {fault}: {error}") from error
