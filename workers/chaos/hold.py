"""A held fault: prepared (ledger, guardian, processes of our own), then injected, watched, and settled.

What takes a while comes in `prepare`, of which nothing is felt, so that `hold` injects at once.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from workers.chaos.arm import Armed, arm
from workers.chaos.contract import FaultEvent, FaultOrder, Gradual, Preparing, Scene
from workers.chaos.ledger import Entry, forget, open_entry, write
from workers.chaos.own import STARTS_WITHIN_S, Own
from workers.chaos.processes import alive, boot_s, with_children
from workers.chaos.references import needed
from workers.chaos.settle import Held, settle
from workers.chaos.stage import LOOKS_EVERY_S, TAKES_EFFECT_WITHIN_S, Stage
from workers.contract.errors import FaultError

PREPARES_AHEAD_S = 3.0
"""A guardian and a crowd of clients are there within 0.8 s on an idle host."""

_WAITS_WITHIN_S = PREPARES_AHEAD_S + 2 * STARTS_WITHIN_S
_BEGINS_BEFORE_S = 1.0  # the guardian's deadline: it must not come upon a fault that is just beginning
_LOOKS_FIRST_EVERY_S = 0.002  # until the effect is seen, so that its time is sharp
_STALL_S = 1.0  # a longer time without a look is said: the agent was stopped, or the host asleep
_LIMIT_SLACK_S = 0.5  # the guardian comes after the agent that reverts on time, not before
_LETS_GO_AFTER_S = (
    1.0  # past the guardian's deadline: kernel and own processes, should the guardian be gone too
)
_ROUNDS = 5  # of stopping children that were born while their parents were being stopped


@dataclass(frozen=True, slots=True)
class Prepared:
    """A fault that waits: its open entry, its guardian, and the processes of ours that will do it."""

    stage: Stage
    path: Path
    entry: Entry
    armed: Armed
    own: tuple[Own, ...]

    def drop(self) -> None:
        """Let all of it go; nothing was injected."""
        with _settled(self):
            pass


def lets_go_s(order: FaultOrder) -> float:
    """When, on CLOCK_BOOTTIME, whatever can let go by itself has to, if the fault is prepared now."""
    return boot_s() + _WAITS_WITHIN_S + _limit_s(order) + _LETS_GO_AFTER_S


def prepare(stage: Stage, scene: Scene) -> Prepared:
    """Do all that takes a while and is not felt. Raises FaultError, and leaves nothing, if it cannot be."""
    with stage.alone_on(scene):
        path, entry = open_entry(
            stage.ledger,
            stage.order,
            scene=scene,
            deadline_s=boot_s() + _WAITS_WITHIN_S,
            touched=stage.touched,
            began=False,
        )
    try:
        armed = arm(path, secrets=needed(stage.order.options, stage.order.rules.secrets))
    except BaseException:
        forget(path)
        raise
    prepared = Prepared(stage, path, entry, armed, ())
    try:
        Path(scene.folder).mkdir(mode=0o700, exist_ok=True)
        if isinstance(stage.fault, Preparing):
            own = stage.fault.prepare(scene)
            scene = replace(scene, own=tuple(one.who for one in own))
            prepared = Prepared(stage, path, replace(entry, scene=scene), armed, own)
            write(path, prepared.entry)
    except BaseException:
        prepared.drop()
        raise
    return prepared


def hold(prepared: Prepared) -> None:
    """Inject it now, watch it, revert it. Raises FaultError where it was not injected."""
    stage = prepared.stage
    with _settled(prepared) as ending:
        ending.entry = _begin(prepared)
        ending.entry, ending.injected_s = _inject(prepared, ending.entry)
        ending.held = _watch(stage, prepared.armed, ending.entry)


@dataclass(slots=True)
class _Ending:
    """What is known so far of how the fault goes, for whoever has to settle it, whatever happens."""

    entry: Entry
    held: Held
    injected_s: float = math.inf


@contextmanager
def _settled(prepared: Prepared) -> Iterator[_Ending]:
    """However it ends: the fault is settled, and its own processes let go."""
    ending = _Ending(prepared.entry, Held(took_effect=False, why=("broken off by an error",)))
    try:
        yield ending
    finally:
        settle(
            prepared.stage,
            prepared.path,
            armed=prepared.armed,
            held=ending.held,
            known=ending.entry,
            injected_s=ending.injected_s,
        )
        for one in prepared.own:
            one.let_go()


def _limit_s(order: FaultOrder) -> float:
    return max(order.limit_s, order.for_s + _LIMIT_SLACK_S)


def _begin(prepared: Prepared) -> Entry:
    """Write that it may be in effect from now on, with the time by which it has to be over."""
    stage, entry = prepared.stage, prepared.entry
    now_s = boot_s()
    if now_s >= entry.deadline_s - _BEGINS_BEFORE_S:
        raise FaultError("not injected: this agent was held up after it had prepared it")
    limit_s = _limit_s(stage.order)
    scene = replace(entry.scene, until_s=now_s + limit_s + _LETS_GO_AFTER_S)
    entry = replace(entry, scene=scene, deadline_s=now_s + limit_s, began=True)
    with stage.alone_on(scene):
        write(prepared.path, entry)
    if not prepared.armed.lives() or boot_s() >= entry.deadline_s:
        raise FaultError("not injected: its guardian had ended, or this agent was held up beyond its limit")
    return entry


def _inject(prepared: Prepared, entry: Entry) -> tuple[Entry, float]:
    """Inject, then do the same to children born meanwhile; each stands in the ledger before it is touched.

    Returns when all was injected, too: to tell of it may take as long as whoever hears it likes.
    """
    stage, scene = prepared.stage, entry.scene
    stage.fault.inject(scene)
    for one in prepared.own:
        one.go()
    at_s = stage.clock()
    for _ in range(_ROUNDS):
        known = {who.life for who in scene.processes}
        born = [who for who in with_children(scene.processes) if who.life not in known]
        if not born:
            break
        scene = replace(scene, processes=(*scene.processes, *born))
        entry = replace(entry, scene=scene)
        write(prepared.path, entry)
        stage.fault.inject(replace(scene, processes=tuple(born)))
    over_s = boot_s()
    here = scene.processes
    if not stage.kind.ends:
        here = tuple(alive(here))  # short-lived children may have ended before they could be stopped
    if scene.processes and not here:
        raise FaultError("every matched process exited by itself before the fault reached it")
    entry = replace(entry, scene=replace(scene, processes=here))
    stage.say("injected", at_s, entry.scene)
    return entry, over_s


def _watch(stage: Stage, armed: Armed, entry: Entry) -> Held:
    """Look at the effect until its time is over, or something ends it early."""
    scene = entry.scene
    start_s = looked_s = good_s = boot_s()
    seen = False
    trouble = broken = ""
    stalls: list[str] = []
    while True:
        now_s = boot_s()
        past_s = now_s - start_s
        if now_s - looked_s > _STALL_S:
            stalls.append(f"not watched for {now_s - looked_s:.1f} s")
        looked_s = now_s
        if not armed.lives():
            end = f"the guardian ended {past_s:.2f} s after injection"
            break
        end = _end(stage, scene, past_s)  # asked before the look: the last look is at how it was in the end
        now = stage.fault.verify(scene)
        if boot_s() >= entry.deadline_s:  # held up: its guardian may have put it back before this look
            end = end or " "
            break
        trouble = now
        good_s = good_s if trouble else now_s
        if not trouble and not seen:
            seen = True
            stage.emit(FaultEvent("verified", stage.clock(), scene.processes, took_effect=True))
        if trouble and seen and not broken:
            broken = f"{trouble}, seen {past_s:.2f} s after injection"
        if end := end or ("" if seen else _given_up(stage, past_s)):
            break
        wait_s = LOOKS_EVERY_S if seen else _LOOKS_FIRST_EVERY_S
        stage.wait(max(0.0, min(wait_s, stage.order.for_s - past_s)))
    unseen_s = min(boot_s(), start_s + stage.order.for_s) - good_s
    if seen and not broken and unseen_s > _STALL_S:
        broken = f"not seen in effect in its last {unseen_s:.1f} s"
    if not seen:
        broken = trouble or "never seen in effect"
        stage.emit(FaultEvent("verified", stage.clock(), scene.processes, took_effect=False, why=broken))
    return Held(seen and not broken, tuple(filter(None, (broken, *stalls, end.strip()))))


def _end(stage: Stage, scene: Scene, past_s: float) -> str:
    """Say why the fault ends now; a blank where its time is over, empty where it goes on."""
    if past_s >= stage.order.for_s:
        return " "
    if not stage.kind.ends and scene.processes and not alive(scene.processes):
        return "nothing is left to hold"
    if reason := stage.may_go_on():
        return f"ended after {past_s:.2f} s of {stage.order.for_s:g} s: {reason}"
    return ""


def _given_up(stage: Stage, past_s: float) -> str:
    """Say that its effect has been waited for long enough; empty before."""
    patience_s = TAKES_EFFECT_WITHIN_S
    if isinstance(stage.fault, Gradual):
        patience_s = stage.fault.takes_effect_within_s
    return f"given up after {past_s:.1f} s" if past_s >= patience_s else ""
