"""What is done to the fleet, and when: a list that is a pure function of one seed."""

import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import psutil

from tests.torture.parts import Fleet

Whom = Literal["worker", "engine", "coordinator", "redis"]
How = Literal["kill", "pause"]

DECK: tuple[tuple[Whom, How], ...] = (
    ("worker", "kill"), ("engine", "kill"), ("coordinator", "kill"), ("redis", "kill"),
    ("worker", "pause"), ("engine", "pause"), ("coordinator", "pause"), ("redis", "pause"),
    ("worker", "kill"), ("worker", "kill"), ("engine", "kill"), ("engine", "kill"), ("coordinator", "kill"),
)  # fmt: skip
"""Shuffled and dealt again and again; the first eight, one of each kind, are dealt first of all."""
KINDS = 8
QUIET_S = 4.0
"""At the beginning, so that the first blow hits a fleet at work."""
AWAY_S = {"worker": (0.0, 6.0), "engine": (0.0, 0.0), "coordinator": (0.0, 4.0), "redis": (0.2, 6.0)}
"""How long a killed part stays away; an engine is its worker's to replace."""
PAUSED_S = {"worker": (0.5, 8.0), "engine": (0.5, 5.0), "coordinator": (0.5, 8.0), "redis": (0.5, 6.0)}
"""SIGSTOP to SIGCONT: shorter and longer than a lease of 3 s."""


@dataclass(frozen=True, slots=True)
class Blow:
    """At `at_s` of the torture; `which` in [0, 1) picks among those there are; `for_s`: away or paused."""

    at_s: float
    whom: Whom
    how: How
    which: float
    for_s: float

    def words(self) -> str:
        return f"{self.at_s:6.1f} s  {self.how} {self.whom} for {self.for_s:.1f} s"


def draw(seed: int, *, seconds: float, count: int) -> tuple[Blow, ...]:
    """So many blows, spread over the time with jitter; no two at once unless the jitter has it so."""
    dice = random.Random(seed)
    cards = _cards(dice)
    step_s = (seconds - QUIET_S) / max(1, count)
    blows = []
    for number in range(count):
        whom, how = next(cards)
        lasts = AWAY_S[whom] if how == "kill" else PAUSED_S[whom]
        at_s = QUIET_S + (number + dice.uniform(0.0, 0.95)) * step_s
        blows.append(Blow(at_s, whom, how, dice.random(), dice.uniform(*lasts)))
    return tuple(sorted(blows, key=lambda blow: blow.at_s))


def _cards(dice: random.Random) -> Iterator[tuple[Whom, How]]:
    yield from dice.sample(DECK[:KINDS], KINDS)
    while True:
        yield from dice.sample(DECK, len(DECK))


@dataclass(frozen=True, slots=True)
class Wake:
    """A paused process goes on at this moment (monotonic)."""

    at_s: float
    process: psutil.Process

    def strike(self) -> None:
        try:
            self.process.send_signal(signal.SIGCONT)
        except psutil.Error:
            return


def strike(blow: Blow, fleet: Fleet) -> tuple[str, Wake | None]:
    """Do it: what was hit, in words, and when a paused one has to be woken."""
    if blow.whom == "engine":
        engines = fleet.engines()
        if not engines:
            return "no engine was there", None
        # most often one that works: half of them idle
        chosen = engines[int(blow.which**2 * len(engines))]
        return _hit(blow, chosen)
    names = {"worker": fleet.workers, "coordinator": fleet.coordinators, "redis": lambda: ["redis"]}
    alive = [name for name in names[blow.whom]() if fleet.parts[name].alive()]
    if not alive:
        return f"no {blow.whom} was there", None
    part = fleet.parts[alive[int(blow.which * len(alive))]]
    if blow.how == "kill":
        part.struck = True
        part.back_s = time.monotonic() + blow.for_s
    said, wake = _hit(blow, psutil.Process(part.pid))
    return f"{part.name}, {said}", wake


def _hit(blow: Blow, process: psutil.Process) -> tuple[str, Wake | None]:
    try:
        if blow.how == "kill":
            process.kill()
            return f"pid {process.pid} was killed", None
        process.suspend()
    except psutil.Error as error:
        return f"it was gone: {error}", None
    return f"pid {process.pid} was stopped", Wake(time.monotonic() + blow.for_s, process)
