"""Clients of ours, as a fault: all that their kinds share, which is all but what each kind's clients do.

The clients themselves are in a process of their own (`python -m workers.chaos.clients`), which the end of the
worker, of the fault's time, or of the fault ends with all of its connections.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from workers.chaos.aim import Aim
from workers.chaos.clients import admission
from workers.chaos.clients.order import Order, Wants, encode
from workers.chaos.clients.tally import LATE, TALLY, read
from workers.chaos.contract import Scene
from workers.chaos.own import Own, start
from workers.chaos.processes import is_alive
from workers.contract.errors import FaultError

if TYPE_CHECKING:
    from workers.chaos.clients.client import Client

FALLS_BEHIND_S: Final = 5.0
"""Clients later than this did not come at the rate that was asked for, which is the fault itself."""

_MOST_WITHOUT: Final = 0.1  # of the visits: then the fault was less than was asked for


@dataclass(frozen=True, slots=True)
class Sign:
    """By what its clients have done a fault is seen to be in effect.

    words: it, as in "not a request sent yet". counters: of the tally; together they are `needed` at least.
    """

    words: str
    counters: tuple[str, ...]
    needed: int = 1


def all_opened(connections: int) -> Sign:
    """So many connections were opened, or turned away by the target."""
    return Sign("all opened", ("opened", "failed.connect", "failed.closed"), connections)


@dataclass(slots=True, kw_only=True)
class Crowd:
    """The clients of one fault.

    fault: its name. options: as its kind was given them. what: what is done to the target, in words. act: be
    the clients, in their own process; without end, which comes from outside. signs: all of these must be
    seen. wants: what their requests are. per_s: how many they begin a second, on average. at_once: how many
    connections at one moment. prompts: the target must take prompts. streams: it must answer token by
    token. check_rows: raises FaultError where the fault cannot be done with these rows.

    Raises FaultError for a rate that is beyond one process.
    """

    fault: str
    options: msgspec.Struct
    what: str
    act: Callable[["Client"], Coroutine[Any, Any, None]]
    signs: tuple[Sign, ...]
    wants: Wants
    per_s: float = 0.0
    at_once: int = 1
    prompts: bool = False
    streams: bool = False
    check_rows: Callable[[Sequence[dict[str, Any]]], None] | None = None
    _aim: Aim | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Refuse what would only fall behind."""
        if self.per_s > admission.MOST_PER_S:
            raise FaultError(
                f"{self.fault} would make {self.per_s:g} requests a second; one fault makes at most "
                f"{admission.MOST_PER_S:g}: ask for less"
            )

    def aim(self, aim: Aim) -> None:
        """Take the target."""
        self._aim = aim

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """Say what is done to which target."""
        aim = self._aimed()
        shown = _place(aim.url) if aim.shown is None else aim.shown
        return (f"target {aim.name}{' at ' if shown else ''}{shown}: {self.what}",)

    def check(self, scene: Scene) -> None:
        """Refuse a target off the worker's allow-list, and more than its ceilings or this host have room for.

        Clients of ours speak HTTP/1.1, with TLS or without.
        """
        aim = self._aimed()
        if self.prompts:
            admission.check_prompts(self.fault, aim)
        admission.check_spoken(self.fault, aim)
        if self.streams:
            admission.check_streams(self.fault, aim)
        admission.check_ceiling(self.fault, aim, per_s=self.per_s, at_once=self.at_once)
        admission.check_descriptors(self.fault, self.at_once)
        admission.check_address(aim, allow_targets=scene.rules.allow_targets)

    def prepare(self, scene: Scene) -> tuple[Own, ...]:
        """Start the clients' process; it waits. Raises FaultError with its words where it cannot begin."""
        options: dict[str, Any] = msgspec.to_builtins(self.options)
        order = Order(
            fault=self.fault,
            options=options,
            aim=self._aimed(),
            seed=scene.seed,
            allow_targets=scene.rules.allow_targets,
        )
        return (start("workers.chaos.clients", [scene.folder], scene=scene, told=encode(order)),)

    def inject(self, scene: Scene) -> None:
        """Nothing: the clients, who wait in a process of their own, are told to go."""

    def verify(self, scene: Scene) -> str:
        """As the kind says, by what the clients count; for as long as their process lives and keeps time.

        More than 5 s behind, or a tenth of the visits without descriptors, ports or memory of this host, is
        not the fault that was asked for.
        """
        counts = self.did(scene)
        if not any(is_alive(who) for who in scene.own):
            return f"the clients' process ended by itself: {_last_words(scene)}"
        if counts.get(LATE, 0) > FALLS_BEHIND_S * 1000:
            return (
                f"the clients were up to {counts[LATE] / 1000:.1f} s behind: this host is too slow for them"
            )
        if (without := counts.get("withheld.host", 0)) > counts.get("opened", 0) * _MOST_WITHOUT:
            return f"{without} visits found this host without descriptors, ports or memory"
        return next(filter(None, (_missing(sign, counts) for sign in self.signs)), "")

    def revert(self, scene: Scene) -> None:
        """Nothing: the clients' process is ended, and with it every connection."""

    def residue(self, scene: Scene) -> str:  # noqa: ARG002  # the shape of every fault
        """Nothing but the clients' process, which the caller looks for."""
        return ""

    def did(self, scene: Scene) -> dict[str, int]:
        """What the clients have done so far; docs/client-faults.md says what each counter counts."""
        return read(Path(scene.folder) / TALLY)

    def _aimed(self) -> Aim:
        if self._aim is None:
            raise FaultError(f"{self.fault} is traffic on a target: name it in the activity's `target`")
        return self._aim


def _missing(sign: Sign, counts: dict[str, int]) -> str:
    """Say what has not been done yet, and what has; empty where the sign is there."""
    if sum(counts.get(name, 0) for name in sign.counters) >= sign.needed:
        return ""
    came = ", ".join(f"{name} {count}" for name, count in counts.items() if count and name != LATE)
    return f"not {sign.words} yet: {came or 'nothing was sent'}"


def _place(url: str) -> str:
    """Scheme, host and port alone: the rest of a URL may hold a secret."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"


def _last_words(scene: Scene) -> str:
    """The last line with words in it: the traceback of a group of errors ends in rules."""
    try:
        lines = (Path(scene.folder) / "own.log").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    return next(filter(None, (line.strip(" |+-") for line in reversed(lines))), "it said nothing")
